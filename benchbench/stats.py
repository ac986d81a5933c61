"""Means and differences with their uncertainty.

Samples of one group (a task of Super-NaturalInstructions, say) err together, so resampling takes
whole groups; where a task declares none, every sample is its own group. Intervals are 95 %,
percentile bootstrap with 10,000 resamples from a fixed seed (Efron & Tibshirani 1993, ch. 13).

The groups are what is random here, not the training: an interval and a p-value speak of the very
checkpoints that were compared. What another seed would have changed is the noise floor's to say.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import NormalDist, variance
from typing import NamedTuple

RESAMPLES = 10_000
LEVEL = 0.95
ALPHA = 0.05
POWER = 0.8
SEED = 0
EXACT = 20
"""Groups up to which all sign flips are counted: a million of them, 8 MB."""
ROUNDING = 1e-9
"""Sums of proportions that differ by less are the same number, computed in another order."""


class Estimate(NamedTuple):
    """A mean, its 95 % interval and its standard error; None where one group alone gives none."""

    value: float
    low: float | None
    high: float | None
    n: int
    error: float | None


class Group(NamedTuple):
    """The sum of a group's values and how many there are."""

    total: float
    n: int


def micro_mean(groups: Sequence[Group]) -> Estimate:
    """Mean over samples; the interval is over groups."""
    return _ratio([g.total for g in groups], [g.n for g in groups])


def macro_mean(groups: Sequence[Group]) -> Estimate:
    """Mean over groups of their means."""
    return _ratio([g.total / g.n for g in groups], [1] * len(groups))


def paired_difference(first: Mapping[str, Group], second: Mapping[str, Group]) -> Estimate:
    """Difference of two micro means (first - second) over the same samples.

    Both must hold the same groups with the same counts; raises ValueError otherwise.
    """
    return _ratio(*_pair(first, second))


def p_value(first: Mapping[str, Group], second: Mapping[str, Group]) -> float:
    """Two-sided p-value of the difference of two micro means over the same samples.

    McNemar's test where every sample is its own group and scores 0 or 1; else, as that test knows
    no groups and no scores between, the sign-flip test over groups, of which it is a case.
    """
    differences, counts = _pair(first, second)
    totals = [group.total for groups in (first, second) for group in groups.values()]
    if set(counts) <= {1} and set(totals) <= {0.0, 1.0}:
        return mcnemar(differences.count(1.0), differences.count(-1.0))
    return sign_flip(differences)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test (McNemar 1947; the sign test).

    Of the samples that only one of the two has right, the first should have half.
    """
    if not only_first + only_second:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_first, only_first + only_second).pvalue)


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p-value of a sum of differences, one a group, in units of a metric.

    If the two methods are alike, each difference is as likely with the other sign (Fisher 1935).
    All flips are counted up to 20 groups; above that 9,999 are drawn from a fixed seed, and p is
    (b + 1) / (m + 1), never zero (Phipson & Smyth 2010).
    """
    import numpy

    # Whole numbers add up to the same in any order, so that ties are ties.
    steps = numpy.rint(numpy.asarray(differences, dtype=float) / ROUNDING).astype(numpy.int64)
    steps = steps[steps != 0]
    observed = abs(steps.sum())
    if len(steps) <= EXACT:
        sums = numpy.zeros(1, dtype=numpy.int64)
        for step in steps:
            sums = numpy.concatenate([sums + step, sums - step])
        return float((abs(sums) >= observed).mean())
    generator = numpy.random.default_rng(SEED)
    drawn, batch = RESAMPLES - 1, max(1, 10**7 // len(steps))
    extreme = 0
    for start in range(0, drawn, batch):
        size = (min(batch, drawn - start), len(steps))
        flips = generator.integers(0, 2, size, dtype=numpy.int8)
        extreme += int((abs(steps.sum() - 2 * (flips @ steps)) >= observed).sum())
    return (extreme + 1) / (drawn + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for how many they are, in their order (Holm 1979, step-down).

    Whatever depends on whatever: the chance of any false finding stays below the level.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def detectable(error: float | None) -> float | None:
    """Smallest true difference that a two-sided test at 5 % finds with a power of 80 %.

    (z(0.975) + z(0.8)) × standard error = 2.80 × it (Bloom 1995), for one comparison alone. None
    where the data show no spread. With few groups the bootstrap's error is somewhat small: by
    sqrt(1 - 1 / groups).
    """
    if error is None or error < ROUNDING:
        return None
    normal = NormalDist()
    return (normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(POWER)) * error


def noise_floor(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Difference of the two means that repeating alone exceeds 1 time in 20.

    The arguments are the scores of repeated runs, such as seeds: this is the half width of Welch's
    interval (Welch 1947). Where one side ran once, it is taken to vary as the other does; None
    where both did. With a known standard deviation, one run against one would give 1.96 × sqrt(2)
    × it, the repeatability limit of ISO 5725-6; a few repeats know it badly, hence Student's t.
    """
    repeated = [scores for scores in (first, second) if len(scores) > 1]
    if not repeated:
        return None
    parts = [
        variance(own if len(own) > 1 else other) / len(own)
        for own, other in ((first, second), (second, first))
    ]
    if sum(parts) < ROUNDING**2:
        return 0.0
    freedom = float(len(repeated[0]) - 1)
    if len(repeated) > 1:
        squares = (
            part**2 / (len(scores) - 1) for part, scores in zip(parts, repeated, strict=True)
        )
        freedom = sum(parts) ** 2 / sum(squares)
    from scipy.stats import t

    return float(t.ppf(1 - ALPHA / 2, freedom)) * sqrt(sum(parts))


def _pair(first: Mapping[str, Group], second: Mapping[str, Group]) -> tuple[list[float], list[int]]:
    """Return each group's difference of sums, and its count."""
    if {k: g.n for k, g in first.items()} != {k: g.n for k, g in second.items()}:
        raise ValueError("the two results are not over the same samples")
    names = sorted(first)
    return [first[k].total - second[k].total for k in names], [first[k].n for k in names]


def _ratio(totals: Sequence[float], counts: Sequence[int]) -> Estimate:
    """Return the sum of totals over that of counts, bootstrapped over their pairs."""
    value, n = sum(totals) / sum(counts), sum(counts)
    if len(totals) < 2:
        return Estimate(value, None, None, n, None)
    import numpy
    from scipy.stats import bootstrap

    found = bootstrap(
        tuple(numpy.asarray(column, dtype=float) for column in (totals, counts)),
        lambda totals, counts, axis: totals.sum(axis=axis) / counts.sum(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        batch=max(1, 10**7 // len(totals)),  # bounds the memory, changes no result
        rng=numpy.random.default_rng(SEED),
    )
    low, high = found.confidence_interval
    return Estimate(value, float(low), float(high), n, float(found.standard_error))

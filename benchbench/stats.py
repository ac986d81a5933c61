"""Means with their uncertainty.

Samples of one group (a task of Super-NaturalInstructions, say) err together, so the bootstrap
draws whole groups; where a task declares none, every sample is its own group. Intervals are 95 %,
percentile bootstrap with 10,000 resamples from a fixed seed (Efron & Tibshirani 1993, ch. 13).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

RESAMPLES = 10_000
LEVEL = 0.95
SEED = 0


class Estimate(NamedTuple):
    """A mean and its 95 % interval; the ends are None where one group alone gives none."""

    value: float
    low: float | None
    high: float | None
    n: int


class Group(NamedTuple):
    """The sum of a group's values and how many there are."""

    total: float
    n: int


def micro_mean(groups: Sequence[Group]) -> Estimate:
    """Mean over samples; the interval is over groups."""
    totals, counts = [g.total for g in groups], [g.n for g in groups]
    low, high = _bootstrap((totals, counts), _ratio)
    return Estimate(sum(totals) / sum(counts), low, high, sum(counts))


def macro_mean(groups: Sequence[Group]) -> Estimate:
    """Mean over groups of their means."""
    means = [g.total / g.n for g in groups]
    low, high = _bootstrap((means, [1] * len(means)), _ratio)
    return Estimate(sum(means) / len(means), low, high, len(means))


def paired_difference(first: Mapping[str, Group], second: Mapping[str, Group]) -> Estimate:
    """Difference of two micro means (first - second) over the same samples.

    Both must hold the same groups with the same counts; raises ValueError otherwise.
    """
    if {k: g.n for k, g in first.items()} != {k: g.n for k, g in second.items()}:
        raise ValueError("the two results are not over the same samples")
    names = sorted(first)
    totals = [first[k].total - second[k].total for k in names]
    counts = [first[k].n for k in names]
    low, high = _bootstrap((totals, counts), _ratio)
    return Estimate(sum(totals) / sum(counts), low, high, sum(counts))


def _ratio(totals: Any, counts: Any, axis: int = -1) -> Any:
    return totals.sum(axis=axis) / counts.sum(axis=axis)


def _bootstrap(
    columns: tuple[Sequence[float], Sequence[int]], statistic: Any
) -> tuple[float | None, float | None]:
    size = len(columns[0])
    if size < 2:
        return None, None
    import numpy
    from scipy.stats import bootstrap

    interval = bootstrap(
        tuple(numpy.asarray(column, dtype=float) for column in columns),
        statistic,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        batch=max(1, 10**7 // size),  # bounds the memory, changes no result
        rng=numpy.random.default_rng(SEED),
    ).confidence_interval
    return float(interval.low), float(interval.high)

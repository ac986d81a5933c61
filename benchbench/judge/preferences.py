"""What length has to do with it: judges favour longer answers (arXiv 2404.04475).

Lengths are in characters. The preference y of the run over the reference is regressed on the
difference of their lengths,

    p = 1 / (1 + exp(-(a + b tanh(d / s)))),    d = length of the run's answer - of the reference's,

with s the standard deviation of d, by the maximum likelihood of y (a proportion). The rate that is
left at d = 0 is 1 / (1 + exp(-a)).

It is not AlpacaEval's length-controlled win rate, whose model also has the difficulty of each
instruction, fitted on GPT-4's judgements of its leaderboard, and a penalty against adversaries.
Limits: it takes length to act alike on every sample; it says little where one side is longer almost
always, as d = 0 then lies outside of what was seen; its interval takes s as known.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev
from typing import Any

from benchbench import stats
from benchbench.judge.comparison import Comparison

SLOPE_DEVIATION = 10.0
"""Of the normal prior of b, which moves nothing but a fit that length separates perfectly."""
NORMAL = NormalDist().inv_cdf((1 + stats.LEVEL) / 2)


def longer_preferred(
    comparisons: Sequence[Comparison], preferences: Sequence[float]
) -> float | None:
    """Return how often the longer answer is preferred, a tie counting half, where lengths differ.

    Near 0.5 length says nothing. None where none differ.
    """
    apart = zip(differences(comparisons), preferences, strict=True)
    found = [half(preference if d > 0 else 1 - preference) for d, preference in apart if d]
    return fmean(found) if found else None


def length_adjusted_win_rate(
    apart: Sequence[float], preferences: Sequence[float]
) -> stats.Estimate | None:
    """Return the win rate at equal lengths, from differences of lengths and preferences.

    None where all lengths differ by one and the same. The interval is from the robust (sandwich)
    standard error of a; there is none where every preference is 1, or 0.
    """
    if not any(apart):
        return win_rate(preferences)
    if len(set(apart)) == 1:
        return None
    if set(preferences) in ({0.0}, {1.0}):  # no finite a is the likeliest
        return stats.Estimate(preferences[0], None, None, len(preferences), None)
    import numpy

    y = numpy.asarray(preferences, dtype=float)
    x = numpy.tanh(numpy.asarray(apart, dtype=float) / stdev(apart))
    intercept, error = _fit(numpy.stack([numpy.ones_like(x), x], axis=1), y)
    rate, low, high = (_logistic(intercept + z * error) for z in (0.0, -NORMAL, NORMAL))
    return stats.Estimate(rate, low, high, len(preferences), error * rate * (1 - rate))


def win_rate(preferences: Sequence[float]) -> stats.Estimate:
    """Return the mean preference with its interval, each sample standing for itself."""
    return stats.micro_mean([stats.Group(each, 1) for each in preferences])


def differences(comparisons: Sequence[Comparison]) -> list[int]:
    """Return by how many characters the run's answers are longer than the reference's."""
    return [len(each.first) - len(each.second) for each in comparisons]


def half(value: float) -> float:
    """Return 1 above a half, 0 below, and a half itself."""
    return float(value > 0.5) if value != 0.5 else 0.5


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _fit(design: Any, y: Any) -> tuple[float, float]:
    """Return the likeliest intercept, the first of two coefficients, and its standard error."""
    import numpy
    from scipy.optimize import minimize
    from scipy.special import expit

    prior = numpy.array([0.0, SLOPE_DEVIATION**-2])

    def loss(c: Any) -> Any:
        z = design @ c
        return (numpy.logaddexp(0, z) - y * z).sum() + prior @ c**2 / 2

    def slope(c: Any) -> Any:
        return design.T @ (expit(design @ c) - y) + prior * c

    def curvature(c: Any) -> Any:
        p = expit(design @ c)
        return design.T @ (design * (p * (1 - p))[:, None]) + numpy.diag(prior)

    start = numpy.zeros(2)
    c = minimize(loss, start, jac=slope, hess=curvature, method="trust-exact", tol=1e-8).x
    inverse = numpy.linalg.inv(curvature(c))
    spread = design.T @ (design * ((y - expit(design @ c)) ** 2)[:, None])
    return float(c[0]), float(numpy.sqrt((inverse @ spread @ inverse)[0, 0]))

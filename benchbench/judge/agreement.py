"""Says what a judge is worth: how often it finds the better of two answers where that is plain."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from benchbench import stats
from benchbench.judge.comparison import Comparison
from benchbench.judge.judge import Judge, Judgement, compare
from benchbench.judge.kept import Kept
from benchbench.judge.pairs import PAIRS
from benchbench.judge.preferences import lengths

ENOUGH = 0.9
"""A judge that agrees less often with pairs as plain as these should judge nothing."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How a judge did on the fixed pairs."""

    rate: stats.Estimate
    """Share of pairs in which it prefers the better answer; a tie counts half."""
    for_longer: float
    """Share in which it prefers the longer answer; half of the pairs' better ones are longer."""
    for_place: float
    """Its mean preference for what is shown first; 0.5 is fair."""
    steady: float
    """Share of pairs in which it says the same in both orders."""
    no_verdict: float
    """Share of questions to which it named neither answer."""
    missing: tuple[str, ...]
    """Why questions had no answer; their pairs count as disagreement."""

    @property
    def enough(self) -> bool:
        return not self.missing and self.rate.value >= ENOUGH


def check(
    judge: Judge, kept: Kept | None = None, progress: Callable[[int], None] = lambda done: None
) -> Agreement:
    """Ask a judge about the fixed pairs."""
    pairs = [
        Comparison(id=str(n), instruction=p.instruction, first=p.better, second=p.worse)
        for n, p in enumerate(PAIRS)
    ]
    found = {
        judgement.id: judgement
        for judgement in compare(judge, pairs, Kept() if kept is None else kept, progress)
    }
    judged = [found[each.id] for each in pairs if each.id in found and not found[each.id].error]
    right = [_right(found.get(each.id)) for each in pairs]
    known = {judgement.id: judgement.preference for judgement in judged}
    length = lengths([p for p in pairs if p.id in known], list(known.values())) if known else None
    return Agreement(
        rate=stats.micro_mean([stats.Group(value, 1) for value in right]),
        for_longer=0.5 if length is None or length.favoured is None else length.favoured,
        for_place=fmean(map(_place, judged)) if judged else 0.5,
        steady=fmean(each.is_steady for each in judged) if judged else 0.0,
        no_verdict=fmean(each.scores["no_verdict"] for each in judged) if judged else 0.0,
        missing=tuple(sorted({each.error for each in found.values() if each.error})),
    )


def _right(judgement: Judgement | None) -> float:
    if judgement is None or judgement.error:
        return 0.0
    return 0.5 if judgement.preference == 0.5 else float(judgement.preference > 0.5)


def _place(judgement: Judgement) -> float:
    """Return the mean preference for what is shown first."""
    first, second = (0.5 if order is None else order for order in judgement.orders)
    return (first + 1 - second) / 2

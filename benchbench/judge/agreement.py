"""Says what a judge is worth: how often it finds the better of two answers where that is plain.

The pairs in pairs.jsonl were written for this project. In one half the better answer is the longer
one, in the other half the shorter, and faults of each kind are in both: a judge that goes by length
is right half the time.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from benchbench import stats
from benchbench.judge.comparison import Comparison
from benchbench.judge.judge import Judge, Judgement, compare
from benchbench.judge.kept import Kept
from benchbench.judge.preferences import half, longer_preferred, win_rate

ENOUGH = 0.9
"""A judge that agrees less often with pairs as plain as these should judge nothing."""


class Pair(NamedTuple):
    """A request and two answers to it."""

    instruction: str
    better: str
    worse: str
    fault: str
    """Of the worse answer."""


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


@cache
def pairs() -> tuple[Pair, ...]:
    """Return the fixed pairs, of which one answer is plainly better."""
    text = Path(__file__).with_name("pairs.jsonl").read_text(encoding="utf-8")
    return tuple(Pair(**json.loads(line)) for line in text.splitlines())


def check(judge: Judge, progress: Callable[[int], None] = lambda done: None) -> Agreement:
    """Ask a judge about the fixed pairs."""
    asked = {
        str(n): Comparison(
            id=str(n), instruction=pair.instruction, first=pair.better, second=pair.worse
        )
        for n, pair in enumerate(pairs())
    }
    found = {each.id: each for each in compare(judge, list(asked.values()), Kept(), progress)}
    judged = [found[name] for name in asked if name in found and not found[name].error]
    wrong = [0.0] * (len(asked) - len(judged))
    for_longer = longer_preferred(
        [asked[each.id] for each in judged], [each.preference for each in judged]
    )
    return Agreement(
        rate=win_rate([*(half(each.preference) for each in judged), *wrong]),
        for_longer=0.5 if for_longer is None else for_longer,
        for_place=fmean(map(_place, judged)) if judged else 0.5,
        steady=fmean(each.is_steady for each in judged) if judged else 0.0,
        no_verdict=fmean(each.scores["no_verdict"] for each in judged) if judged else 0.0,
        missing=tuple(sorted({each.error for each in found.values()} - {""})),
    )


def _place(judgement: Judgement) -> float:
    """Return the mean preference for what is shown first."""
    first, second = (0.5 if order is None else order for order in judgement.orders)
    return (first + 1 - second) / 2

"""Comparisons asked in both orders, and what comes of a judge's answers."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from benchbench.judge.comparison import Comparison
from benchbench.judge.kept import Answer, Kept
from benchbench.records.record import NO_VERDICT, STEADY, WIN_RATE, JudgeSpec
from benchbench.specs import digest


class Question(NamedTuple):
    """One prompt for a judge."""

    key: str
    """Digest of judge and prompt."""
    prompt: str


class Judge(Protocol):
    """Whoever answers questions."""

    @property
    def spec(self) -> JudgeSpec: ...

    def ask(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """Yield answers as they come, in any order; raises JudgeError where none can come."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What came of one comparison."""

    id: str
    orders: tuple[float | None, float | None]
    """Preference for the first answer, shown first and shown second; None: no verdict."""
    error: str = ""
    """Why there is no judgement."""

    @property
    def preference(self) -> float:
        """Of the first answer over the second, in [0, 1]."""
        return sum(0.5 if order is None else order for order in self.orders) / 2

    @property
    def is_steady(self) -> bool:
        """Whether both orders prefer the same answer, or both neither; without a verdict: no."""
        first, second = self.orders
        if first is None or second is None:
            return False
        return (first > 0.5, first < 0.5) == (second > 0.5, second < 0.5)

    @property
    def scores(self) -> dict[str, float]:
        """Metric -> value in [0, 1]; empty where the comparison is missing."""
        if self.error:
            return {}
        return {
            WIN_RATE: self.preference,
            STEADY: float(self.is_steady),
            NO_VERDICT: self.orders.count(None) / 2,
        }


def compare(
    judge: Judge,
    comparisons: Sequence[Comparison],
    kept: Kept,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Judgement]:
    """Yield a judgement for each comparison as soon as both its orders are answered.

    ``kept`` holds what was answered before, and what is answered now; ``progress`` is told how many
    comparisons are done. Answers that look the same are a tie without asking.
    """
    identity = digest(judge.spec, 64)
    answered: dict[str, Answer] = {}
    waiting: dict[str, list[_Pair]] = {}
    questions: dict[str, Question] = {}
    count = itertools.count(1)

    def judged(pair: _Pair) -> Iterator[Judgement]:
        first, second = (answered.get(q.key) or kept.get(q.key) for q in pair.questions)
        if first and second:
            progress(next(count))
            yield _judgement(pair.comparison.id, first, second)

    for each in comparisons:
        pair = _Pair(each, [Question(digest([identity, p], 64), p) for p in each.prompts()])
        first, second = pair.questions
        if first == second:
            progress(next(count))
            yield Judgement(id=each.id, orders=(0.5, 0.5))
            continue
        yield from judged(pair)
        for question in pair.questions:
            if question.key not in kept:
                waiting.setdefault(question.key, []).append(pair)
                questions[question.key] = question
    for answer in judge.ask(list(questions.values())):
        answered[answer.key] = answer
        if not answer.error:
            kept.add(answer, judge.spec.model)
        for pair in waiting[answer.key]:
            yield from judged(pair)


class _Pair(NamedTuple):
    comparison: Comparison
    questions: Sequence[Question]
    """In both orders."""


def _judgement(name: str, first: Answer, second: Answer) -> Judgement:
    if error := first.error or second.error:
        return Judgement(id=name, orders=(None, None), error=error)
    swapped = preference(second.logprobs)
    return Judgement(
        id=name,
        orders=(preference(first.logprobs), None if swapped is None else 1 - swapped),
    )


def preference(logprobs: Sequence[float | None]) -> float | None:
    """Return p(A) / (p(A) + p(B)) from ln p of the labels; None stands for one not named.

    A label that is not among the likeliest tokens beside the other has no probability.
    """
    # Servers write -9999 for no probability at all.
    first, second = (each if each is not None and each > -1000 else None for each in logprobs)
    if first is None and second is None:
        return None
    if first is None or second is None:
        return float(second is None)
    # Of the difference, as both may be far below what a float holds once exponentiated.
    difference = max(-700.0, min(700.0, second - first))
    return 1 / (1 + math.exp(difference))

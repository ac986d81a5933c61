import re

import pytest

from benchbench.judge.agreement import check, pairs
from tests.toys.judge import ToyJudge, answers, longer, place

PAIRS = pairs()
BETTER = {pair.better for pair in PAIRS}


def knows(first: str, second: str) -> float:
    return 0.7 if first in BETTER else 0.3


def test_the_longer_answer_is_better_in_exactly_half_of_the_pairs() -> None:
    assert sum(len(p.better) > len(p.worse) for p in PAIRS) == 15
    assert sum(len(p.better) < len(p.worse) for p in PAIRS) == 15
    assert len({p.instruction for p in PAIRS}) == 30
    assert not BETTER & {p.worse for p in PAIRS}


def test_a_good_judge_agrees_wholly() -> None:
    found = check(ToyJudge(knows))
    assert (found.rate.value, found.rate.n) == (1.0, 30)
    assert (found.for_longer, found.for_place, found.steady) == (0.5, pytest.approx(0.5), 1.0)
    assert (found.no_verdict, found.missing, found.enough) == (0.0, (), True)


def test_a_judge_of_length_agrees_by_half() -> None:
    found = check(ToyJudge(longer))
    assert (found.rate.value, found.for_longer, found.steady) == (0.5, 1.0, 1.0)
    assert not found.enough
    found = check(ToyJudge(lambda first, second: 1 - longer(first, second)))
    assert (found.rate.value, found.for_longer) == (0.5, 0.0)


def test_a_judge_of_the_place_is_found_out() -> None:
    found = check(ToyJudge(place))
    assert found.for_place == pytest.approx(0.8)
    assert found.steady == 0.0
    assert not found.enough


def test_a_judge_without_verdicts_agrees_with_nothing() -> None:
    found = check(ToyJudge(silent=lambda prompt: True))
    assert (found.rate.value, found.no_verdict, found.steady) == (0.5, 1.0, 0.0)
    assert not found.enough


def test_missing_answers_are_disagreement_and_named() -> None:
    one = PAIRS[0].better
    found = check(ToyJudge(knows, broken=lambda prompt: one in answers(prompt)))
    assert found.rate.value == pytest.approx(29 / 30)
    assert found.missing == ("out of order",)
    assert not found.enough
    found = check(ToyJudge(knows, broken=lambda prompt: True))
    assert (found.rate.value, found.enough) == (0.0, False)


def test_progress_is_told() -> None:
    told: list[int] = []
    check(ToyJudge(knows), told.append)
    assert told == list(range(1, 31))


def test_each_kind_of_fault_is_in_both_halves() -> None:
    longer = {p.fault for p in PAIRS if len(p.better) > len(p.worse)}
    shorter = {p.fault for p in PAIRS if len(p.better) < len(p.worse)}
    assert {"wrong", "unhelpful", "not as asked", "harmful"} <= longer & shorter


def test_pairs_hold_what_their_instructions_say() -> None:
    # An instruction that is met only by its better answer must be met by it.
    by_instruction = {pair.instruction: pair for pair in PAIRS}
    two = next(p for i, p in by_instruction.items() if "exactly two sentences" in i)
    assert len(re.findall(r"\.(?:\s|$)", two.better)) == 2
    assert (
        eval(
            "s"
            + by_instruction["Write a Python expression that reverses the string s."].better[1:],
            {"s": "abc"},
        )
        == "cba"
    )
    function = by_instruction[
        "Write a Python function that returns the sum of the even numbers in a list."
    ]
    scope: dict = {}
    exec(function.better, scope)
    assert scope["sum_even"]([1, 2, 3, 4]) == 6

import re

import pytest

from benchbench.judge.agreement import check
from benchbench.judge.kept import Kept
from benchbench.judge.pairs import BETTER_IS_LONGER, BETTER_IS_SHORTER, PAIRS
from tests.toy_judge import ToyJudge, answers, longer, place

BETTER = {pair.better for pair in PAIRS}


def knows(first: str, second: str) -> float:
    return 0.7 if first in BETTER else 0.3


def test_the_longer_answer_is_better_in_exactly_half_of_the_pairs() -> None:
    assert len(BETTER_IS_LONGER) == len(BETTER_IS_SHORTER) == 15
    assert all(len(p.better) > len(p.worse) for p in BETTER_IS_LONGER)
    assert all(len(p.better) < len(p.worse) for p in BETTER_IS_SHORTER)
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


def test_the_check_can_be_kept() -> None:
    kept, told = Kept(), []
    check(ToyJudge(knows), kept, told.append)
    assert told == list(range(1, 31))
    judge = ToyJudge(knows)
    check(judge, kept)
    assert judge.asked == []


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

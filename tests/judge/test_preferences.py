import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench.judge.comparison import Comparison
from benchbench.judge.preferences import (
    differences,
    length_adjusted_win_rate,
    longer_preferred,
    win_rate,
)


def pairs(*sizes: tuple[int, int]) -> list[Comparison]:
    return [
        Comparison(id=str(n), instruction="", first="x" * first, second="x" * second)
        for n, (first, second) in enumerate(sizes)
    ]


def test_how_often_the_longer_answer_is_preferred() -> None:
    found = longer_preferred(pairs((4, 2), (1, 3), (5, 5), (9, 1)), [0.9, 0.8, 1.0, 0.5])
    assert found == pytest.approx((1 + 0 + 0.5) / 3)
    assert longer_preferred(pairs((5, 5)), [1.0]) is None
    assert differences(pairs((4, 2), (1, 3))) == [2, -2]


def test_a_win_rate_is_the_mean_preference() -> None:
    found = win_rate([1.0, 0.5, 0.25, 0.25])
    assert (found.value, found.n) == (0.5, 4)
    assert found.low is not None and found.low < 0.5 < found.high  # type: ignore[operator]


SKILL, PULL = 0.4, 2.0


def drawn(n: int, seed: int = 0) -> tuple[list[float], list[float]]:
    """Draw wins of a model whose skill and whose judge's love of length are known."""
    source = random.Random(seed)
    apart = [source.gauss(300, 500) for _ in range(n)]
    spread = 500
    chance = [1 / (1 + math.exp(-(SKILL + PULL * math.tanh(d / spread)))) for d in apart]
    return apart, [float(source.random() < p) for p in chance]


def test_the_adjusted_rate_finds_what_length_did_not_do() -> None:
    apart, wins = drawn(20_000)
    found = length_adjusted_win_rate(apart, wins)
    true = 1 / (1 + math.exp(-SKILL))
    assert found is not None
    assert found.value == pytest.approx(true, abs=0.01)
    assert win_rate(wins[:2000]).value > true + 0.05


def test_its_interval_covers_the_truth_as_often_as_it_says() -> None:
    true = 1 / (1 + math.exp(-SKILL))
    found = [length_adjusted_win_rate(*drawn(300, seed)) for seed in range(200)]
    covered = [each.low <= true <= each.high for each in found]  # type: ignore[union-attr,operator]
    assert 0.9 <= sum(covered) / 200 <= 0.99
    spread = [each.value for each in found]  # type: ignore[union-attr]
    mean = sum(spread) / 200
    deviation = math.sqrt(sum((v - mean) ** 2 for v in spread) / 199)
    assert found[0].error == pytest.approx(deviation, rel=0.25)  # type: ignore[union-attr]


@given(st.lists(st.tuples(st.integers(-2000, 2000), st.floats(0, 1)), min_size=2, max_size=30))
def test_exchanging_the_sides_exchanges_the_rate(rows: list[tuple[int, float]]) -> None:
    apart, preferences = [d for d, _ in rows], [p for _, p in rows]
    found = length_adjusted_win_rate(apart, preferences)
    other = length_adjusted_win_rate([-d for d in apart], [1 - p for p in preferences])
    if found is None:
        assert other is None
        return
    assert other is not None
    assert 0 <= found.value <= 1
    assert found.value + other.value == pytest.approx(1, abs=1e-4)


def test_where_length_says_nothing_it_adjusts_nothing() -> None:
    apart = [-2.0, -1.0, 1.0, 2.0] * 50
    preferences = [0.8, 0.6, 0.6, 0.8] * 50
    found = length_adjusted_win_rate(apart, preferences)
    assert found is not None
    assert found.value == pytest.approx(0.7, abs=0.001)


def test_equal_lengths_have_the_plain_rate() -> None:
    assert length_adjusted_win_rate([0.0] * 4, [1.0, 0.5, 0.25, 0.25]) == win_rate(
        [1.0, 0.5, 0.25, 0.25]
    )


def test_one_and_the_same_difference_says_nothing() -> None:
    assert length_adjusted_win_rate([7.0] * 4, [1.0, 0.5, 0.25, 0.25]) is None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_sided_comparisons_have_no_interval(value: float) -> None:
    found = length_adjusted_win_rate([1.0, 2.0, -3.0], [value] * 3)
    assert found == (value, None, None, 3, None)


def test_where_the_longer_always_wins_both_are_alike() -> None:
    found = length_adjusted_win_rate([-3.0, -1.0, 1.0, 3.0] * 20, [0.0, 0.0, 1.0, 1.0] * 20)
    assert found is not None
    assert found.value == pytest.approx(0.5, abs=1e-6)

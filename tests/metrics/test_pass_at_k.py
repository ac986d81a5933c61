from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench.metrics import pass_at_k, pass_rates


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(1, 8))
def test_pass_at_k_is_the_share_of_all_draws_that_hold_one_that_passed(
    passed: list[bool], k: int
) -> None:
    k = min(k, len(passed))
    draws = list(combinations(passed, k))
    assert pass_at_k(len(passed), sum(passed), k) == pytest.approx(
        sum(map(any, draws)) / len(draws)
    )


@given(st.integers(1, 200), st.data())
def test_pass_at_k_lies_in_0_to_1_and_grows_with_k(n: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    assert 0 <= pass_at_k(n, passed, k) <= 1
    assert pass_at_k(n, passed, 1) == pytest.approx(passed / n)
    assert pass_at_k(n, passed, 1) <= pass_at_k(n, passed, k) + 1e-12


@pytest.mark.parametrize(("n", "passed", "k"), [(1, 0, 2), (1, 2, 1), (5, -1, 1), (5, 1, 0)])
def test_what_is_not_defined_is_refused(n: int, passed: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k} of {n} programs"):
        pass_at_k(n, passed, k)


def test_pass_rates_are_those_that_there_are_programs_for() -> None:
    assert pass_rates([True]) == {"pass@1": 1.0}
    assert pass_rates([False] * 9) == {"pass@1": 0.0}
    assert pass_rates([True] + [False] * 19) == pytest.approx({"pass@1": 0.05, "pass@10": 0.5})

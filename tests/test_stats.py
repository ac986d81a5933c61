import random
from collections.abc import Callable

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_ind

from benchbench.stats import (
    Group,
    detectable,
    holm,
    macro_mean,
    mcnemar,
    micro_mean,
    noise_floor,
    p_value,
    paired_difference,
    sign_flip,
)

DIFFERENCES = st.lists(st.integers(-30, 30).map(lambda hundredths: hundredths / 100), max_size=9)
P_VALUES = st.lists(st.floats(0, 1), max_size=8)
SCORES = st.lists(
    st.integers(0, 100).map(lambda percent: percent / 100), min_size=2, max_size=6
).filter(lambda scores: len(set(scores)) > 1)


def groups(*means: float, n: int = 10) -> list[Group]:
    return [Group(mean * n, n) for mean in means]


def test_micro_means_weigh_samples_and_macro_means_groups() -> None:
    uneven = [Group(10.0, 10), Group(0.0, 30)]
    assert micro_mean(uneven).value == 0.25
    assert macro_mean(uneven).value == 0.5
    assert (micro_mean(uneven).n, macro_mean(uneven).n) == (40, 2)


def test_the_interval_holds_the_mean_and_is_repeatable() -> None:
    values = groups(0.1, 0.4, 0.5, 0.8, 0.9)
    first, second = micro_mean(values), micro_mean(values)
    assert first == second
    assert first.low is not None and first.high is not None
    assert first.low < first.value < first.high


def test_one_group_gives_no_interval() -> None:
    assert micro_mean(groups(0.5))[1:3] == (None, None)


def test_equal_groups_give_a_width_of_zero() -> None:
    estimate = micro_mean(groups(0.5, 0.5, 0.5))
    assert estimate.low == estimate.high == pytest.approx(0.5)


def test_clusters_widen_the_interval() -> None:
    """Samples that err together carry less information than as many that do not."""
    clustered = groups(0.0, 1.0, 0.0, 1.0, n=25)
    single = [Group(value, 1) for value in [0.0, 1.0] * 50]
    assert width(micro_mean(clustered)) > 2 * width(micro_mean(single))


def test_the_interval_covers_the_truth_about_19_times_in_20() -> None:
    generator = random.Random(1)
    hits = 0
    for _ in range(100):
        drawn = [Group(sum(generator.random() < 0.3 for _ in range(20)), 20) for _ in range(40)]
        estimate = micro_mean(drawn)
        assert estimate.low is not None and estimate.high is not None
        hits += estimate.low <= 0.3 <= estimate.high
    assert 86 <= hits <= 100


def test_pairing_removes_what_two_results_share() -> None:
    generator = random.Random(2)
    hard = {f"task{i}": generator.random() for i in range(30)}
    first = {k: Group(10 * v, 10) for k, v in hard.items()}
    second = {k: Group(10 * v - 0.5, 10) for k, v in hard.items()}
    difference = paired_difference(first, second)
    assert difference.value == pytest.approx(0.05)
    assert width(difference) < 1e-9 < width(micro_mean(list(first.values())))


def test_different_samples_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same samples"):
        paired_difference({"a": Group(1.0, 2)}, {"a": Group(1.0, 3)})


def test_the_standard_error_of_a_mean_is_known() -> None:
    """sqrt(p (1 - p) / n), for samples that stand alone."""
    error = micro_mean([Group(value, 1) for value in [0.0, 1.0] * 200]).error
    assert error == pytest.approx(0.025, rel=0.03)
    assert micro_mean(groups(0.5)).error is None


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    [(0, 0, 1.0), (3, 3, 1.0), (1, 9, 22 / 1024), (9, 1, 22 / 1024), (0, 5, 2 / 32), (1, 0, 1.0)],
)
def test_mcnemar_by_hand(only_first: int, only_second: int, expected: float) -> None:
    assert mcnemar(only_first, only_second) == pytest.approx(expected)


@given(first=st.integers(0, 8), second=st.integers(0, 8), same=st.integers(0, 3))
def test_mcnemar_is_a_case_of_the_sign_flip(first: int, second: int, same: int) -> None:
    differences = [1.0] * first + [-1.0] * second + [0.0] * same
    assert sign_flip(differences) == pytest.approx(mcnemar(first, second))


@given(DIFFERENCES.filter(lambda differences: len(differences) > 1))
@settings(deadline=None)
def test_the_sign_flip_is_that_of_scipy(differences: list[float]) -> None:
    hundredths = numpy.rint(100 * numpy.array(differences)).astype(int)
    found = permutation_test((hundredths,), numpy.sum, permutation_type="samples")
    assert sign_flip(differences) == pytest.approx(found.pvalue)


@given(differences=DIFFERENCES, random=st.randoms())
def test_the_sign_flip_heeds_neither_order_nor_side_nor_ties(
    differences: list[float], random: random.Random
) -> None:
    expected = sign_flip(differences)
    assert 0 < expected <= 1
    assert sign_flip([-d for d in differences] + [0.0, 1e-17]) == expected
    random.shuffle(differences)
    assert sign_flip(differences) == expected


def test_what_rounding_parts_is_still_a_tie() -> None:
    assert 0.1 + 0.2 - 0.3 != 0
    assert sign_flip([0.1, 0.2, -0.3]) == 1.0


def test_drawn_flips_agree_with_all_flips_and_are_repeatable() -> None:
    differences = [1.0] * 28 + [-1.0] * 14
    assert sign_flip(differences) == pytest.approx(mcnemar(28, 14), abs=0.008)
    assert sign_flip(differences) == sign_flip(differences)


def test_a_drawn_p_value_is_never_zero() -> None:
    assert sign_flip([0.5] * 60) == 1 / 10_000


def test_single_right_and_wrong_answers_are_compared_by_mcnemar() -> None:
    first = {str(i): Group(float(i < 40), 1) for i in range(50)}
    second = {str(i): Group(float(i < 24), 1) for i in range(50)}
    assert p_value(first, second) == mcnemar(16, 0)


def test_groups_are_flipped_whole() -> None:
    """A hundred samples of four tasks are four draws."""
    first = {str(i): Group(25.0, 25) for i in range(4)}
    second = {str(i): Group(0.0, 25) for i in range(4)}
    assert p_value(first, second) == 2 / 2**4


def test_a_mean_over_seeds_is_not_right_or_wrong() -> None:
    first = {str(i): Group(1.0, 1) for i in range(4)}
    second = {str(i): Group(2 / 3, 1) for i in range(4)}
    assert p_value(first, second) == 2 / 2**4


def test_different_samples_have_no_p_value() -> None:
    with pytest.raises(ValueError, match="same samples"):
        p_value({"a": Group(1.0, 1)}, {"b": Group(1.0, 1)})


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(P_VALUES)
def test_holm_lies_between_nothing_and_bonferroni_and_keeps_the_order(values: list[float]) -> None:
    adjusted = holm(values)
    for value, found in zip(values, adjusted, strict=True):
        assert value <= found <= min(1.0, len(values) * value)
    by_value = sorted(zip(values, adjusted, strict=True))
    assert [found for _, found in by_value] == sorted(adjusted)


def clustered(generator: numpy.random.Generator) -> dict[str, Group]:
    """Ten tasks with scores of their own."""
    return {str(i): Group(value, 1) for i, value in enumerate(generator.random(10))}


def single(generator: numpy.random.Generator) -> dict[str, Group]:
    """Sixty samples, right or wrong."""
    return {str(i): Group(float(right), 1) for i, right in enumerate(generator.random(60) < 0.5)}


@pytest.mark.parametrize("draw", [clustered, single])
def test_a_table_of_equals_names_none_19_times_in_20(
    draw: Callable[[numpy.random.Generator], dict[str, Group]],
) -> None:
    generator = numpy.random.default_rng(3)
    unadjusted = adjusted = 0
    for _ in range(400):
        reference = draw(generator)
        values = [p_value(draw(generator), reference) for _ in range(6)]
        unadjusted += min(values) <= 0.05
        adjusted += min(holm(values)) <= 0.05
    assert adjusted <= 400 * (0.05 + 3 * 0.011)
    assert unadjusted > 400 * 0.1


def test_whole_groups_keep_the_level_where_samples_err_together() -> None:
    generator = numpy.random.default_rng(4)
    by_group = by_sample = 0
    for _ in range(400):
        differences = generator.choice([-1.0, 1.0], 12) * 10  # ten samples each, all alike
        by_group += sign_flip(list(differences)) <= 0.05
        right = int((differences > 0).sum()) * 10
        by_sample += mcnemar(right, 120 - right) <= 0.05
    assert by_group <= 400 * (0.05 + 3 * 0.011)
    assert by_sample > 400 * 0.3


def test_the_smallest_detectable_difference_by_hand() -> None:
    assert detectable(0.01) == pytest.approx(0.0280159, abs=1e-6)
    assert detectable(None) is None
    assert detectable(0.0) is None


def test_a_detectable_difference_is_found_4_times_in_5() -> None:
    generator = numpy.random.default_rng(5)
    effect = detectable(1 / 40**0.5)
    assert effect is not None
    found = sum(sign_flip(list(generator.normal(effect, 1, 40))) <= 0.05 for _ in range(400))
    assert 0.73 * 400 <= found <= 0.86 * 400


def test_the_noise_floor_by_hand() -> None:
    assert noise_floor([1.0, 3.0], [1.0, 3.0]) == pytest.approx(4.302653 * 2**0.5, rel=1e-6)
    assert noise_floor([1.0, 3.0], [9.0]) == pytest.approx(12.706205 * 3**0.5, rel=1e-6)
    assert noise_floor([9.0], [1.0, 3.0]) == noise_floor([1.0, 3.0], [9.0])
    assert noise_floor([0.5, 0.5, 0.5], [0.25]) == 0.0
    assert noise_floor([0.5], [0.6]) is None
    many = [0.4, 0.6] * 5000
    assert noise_floor(many, [0.5]) == pytest.approx(1.96 * 0.1, rel=1e-3)


@given(first=SCORES, second=SCORES)
@settings(deadline=None)
def test_the_noise_floor_is_half_of_welchs_interval(
    first: list[float], second: list[float]
) -> None:
    low, high = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert noise_floor(first, second) == pytest.approx((high - low) / 2)


@pytest.mark.parametrize(("seeds", "spread"), [((3, 3), 1.0), ((3, 3), 8.0), ((1, 3), 1.0)])
def test_repeating_alone_exceeds_the_noise_floor_1_time_in_20(
    seeds: tuple[int, int], spread: float
) -> None:
    generator = numpy.random.default_rng(6)
    beyond = 0
    for _ in range(600):
        first, second = generator.normal(0, spread, seeds[0]), generator.normal(0, 1, seeds[1])
        floor = noise_floor(list(first), list(second))
        assert floor is not None
        beyond += abs(first.mean() - second.mean()) > floor
    assert 0.02 * 600 <= beyond <= 0.08 * 600


def width(estimate: object) -> float:
    low, high = estimate[1], estimate[2]  # type: ignore[index]
    return high - low

import random

import pytest

from benchbench.stats import Group, macro_mean, micro_mean, paired_difference


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


def width(estimate: object) -> float:
    low, high = estimate[1], estimate[2]  # type: ignore[index]
    return high - low

from dataclasses import replace

import pytest

from benchbench import stats
from benchbench.boards.rank import Interval, Row, by_task, rank, tables, to_json, verdict
from benchbench.errors import BoardError
from benchbench.records.record import TaskResult
from tests.toys import PARITY, TRAIN, result, run_record

BASE, FULL, PART = run_record("untuned"), run_record("whole"), run_record("part")
RUNS = {r.run_id: r for r in (BASE, FULL, PART)}


def test_rows_are_ranked_and_compared_with_the_reference() -> None:
    rows = rank(RUNS, [result(BASE, 0.1, 0.1), result(PART, 0.5, 0.6), result(FULL, 0.6, 0.6)])
    assert [row.label for row in rows] == ["whole", "part", "untuned"]
    part = rows[1]
    assert part.difference is not None
    assert part.difference.value == pytest.approx(-0.05)
    assert part.difference.low == pytest.approx(-0.1)
    assert rows[0].difference is None


def test_without_the_reference_nothing_is_compared() -> None:
    rows = rank(RUNS, [result(BASE, 0.1, 0.1), result(PART, 0.5, 0.6)])
    assert [row.difference for row in rows] == [None, None]


def test_seeds_are_averaged() -> None:
    runs = [run_record("part", seed) for seed in (1, 2, 3)]
    found = [result(run, value, value) for run, value in zip(runs, (0.4, 0.5, 0.6), strict=True)]
    (row,) = rank({r.run_id: r for r in runs}, found)
    assert row.seeds == (1, 2, 3)
    assert row.score.value == pytest.approx(0.5)
    assert row.seed_deviation == pytest.approx(0.1)


def test_a_metric_that_some_seeds_lack_is_not_averaged() -> None:
    def seed(number: int, *metrics: str) -> TaskResult:
        found = result(run_record("part", number), 0.5)
        more = (replace(found.scores[0], metric=metric, value=number / 10) for metric in metrics)
        return replace(found, scores=(*found.scores, *more))

    rows = ranked(seed(1, "said", "length_adjusted_win_rate"), seed(2, "said"))
    assert rows["part"].other_scores == {"said": pytest.approx(0.15)}


def test_entries_are_told_apart_by_what_differs() -> None:
    small = run_record("part", params={"size": 1, "ratio": 2})
    large = run_record("part", params={"size": 9, "ratio": 2})
    rows = rank({r.run_id: r for r in (small, large)}, [result(small, 0.1), result(large, 0.2)])
    assert [row.label for row in rows] == ["part size=9", "part size=1"]


@pytest.mark.parametrize("part", ["task", "engine", "data"])
def test_incomparable_results_are_refused_by_name(part: str) -> None:
    first, second = result(FULL, 0.5), result(PART, 0.5)
    spec = {
        "task": replace(second.spec, task=replace(second.spec.task, version=2)),
        "engine": replace(second.spec, engine=replace(second.spec.engine, name="other")),
        "data": replace(second.spec, data=replace(second.spec.data, source="folder")),
    }[part]
    with pytest.raises(BoardError, match=f"{part} is .* in one and .* in another"):
        rank(RUNS, [first, replace(second, spec=spec)])


def test_other_training_is_refused_but_the_untuned_model_fits_all() -> None:
    other = run_record("part", train=replace(TRAIN, epochs=1.0))
    runs = RUNS | {other.run_id: other}
    with pytest.raises(BoardError, match="training is"):
        rank(runs, [result(FULL, 0.5), result(other, 0.5)])
    assert len(rank(runs, [result(BASE, 0.5), result(other, 0.5)])) == 2


@pytest.mark.parametrize(
    "changes", [{"parity": None}, {"parity": replace(PARITY, passed=False)}, {"n_missing": 1}]
)
def test_what_is_not_proven_is_not_publishable(changes: dict[str, object]) -> None:
    (row,) = rank(RUNS, [result(PART, 0.5, **changes)])
    assert not row.publishable


def test_two_trainings_of_one_run_are_refused() -> None:
    first = result(PART, 0.5)
    second = replace(first, spec=replace(first.spec, checkpoint="another"))
    with pytest.raises(BoardError, match="two results"):
        rank(RUNS, [first, second])


def test_a_result_without_its_run_is_refused() -> None:
    with pytest.raises(BoardError, match="no run record"):
        rank({}, [result(PART, 0.5)])


def test_the_difference_is_to_the_best_reference_in_any_order() -> None:
    weak, strong = (run_record("whole", params={"size": size}) for size in (1, 2))
    runs = RUNS | {r.run_id: r for r in (weak, strong)}
    found = [result(weak, 0.2), result(strong, 0.7), result(PART, 0.5)]
    for order in (found, found[::-1]):
        rows = {row.label: row for row in rank(runs, order)}
        assert rows["part"].difference is not None
        assert rows["part"].difference.value == pytest.approx(-0.2)
        assert rows["whole size=2"].difference is None


def test_one_task_with_two_parameters_has_two_tables() -> None:
    first = result(PART, 0.5)
    task = replace(first.spec.task, params={"size": 2})
    first = replace(first, spec=replace(first.spec, task=replace(task, params={"size": 1})))
    second = replace(first, spec=replace(first.spec, task=task))
    assert set(tables([PART], [first, second])) == {"echo@say size=1", "echo@say size=2"}


def seeded(method: str, *scores: float) -> list[TaskResult]:
    """Results of a method's seeds, each with one score on eight groups."""
    return [
        result(run_record(method, seed), *[score] * 8) for seed, score in enumerate(scores, start=1)
    ]


def ranked(*found: TaskResult) -> dict[str, Row]:
    runs = {r.run_id: run_record(r.run.method.name, r.run.seed) for r in found}
    return {row.label: row for row in rank(runs, found)}


def test_p_values_are_adjusted_for_the_comparisons_of_the_table() -> None:
    mixed = (0.7, 0.5, 0.7, 0.5, 0.7, 0.5, 0.6, 0.6)
    full, part, base = result(FULL, *[0.6] * 8), result(PART, *mixed), result(BASE, *[0.1] * 8)
    alone = ranked(full, base)["untuned"]
    assert alone.p_value == 2 / 2**8
    rows = ranked(full, part, base)
    assert rows["untuned"].p_value == 2 * 2 / 2**8
    assert (rows["untuned"].verdict, rows["part"].verdict) == ("worse", "unclear")
    assert rows["part"].p_value == 1.0
    reference = rows["whole"]
    assert (reference.p_value, reference.verdict, reference.detectable) == (None, None, None)


def test_what_could_be_shown_is_known_where_the_groups_differ() -> None:
    rows = ranked(result(FULL, *[0.6] * 8), result(PART, *[0.7, 0.5] * 4), result(BASE, *[0.1] * 8))
    # Differences of ±0.1 in eight groups.
    assert rows["part"].detectable == pytest.approx(2.8016 * 0.1 / 8**0.5, rel=0.03)
    assert rows["untuned"].detectable is None


def test_what_other_seeds_may_give_shows_no_difference() -> None:
    rows = ranked(*seeded("whole", 0.4, 0.6), *seeded("part", 0.3, 0.5))
    part = rows["part"]
    assert part.difference is not None and part.difference.high == pytest.approx(-0.1)
    assert part.p_value == 2 / 2**8
    assert part.noise == pytest.approx(stats.noise_floor([0.3, 0.5], [0.4, 0.6]))
    assert part.verdict == "unclear"


def test_seeds_that_agree_show_a_difference() -> None:
    rows = ranked(*seeded("whole", 0.60, 0.61), *seeded("part", 0.30, 0.31))
    assert rows["part"].verdict == "worse"


def test_one_seed_each_has_no_noise_floor() -> None:
    rows = ranked(*seeded("whole", 0.6), *seeded("part", 0.7))
    assert rows["part"].noise is None
    assert rows["part"].verdict == "better"


def test_right_and_wrong_answers_are_compared_by_mcnemar() -> None:
    first = result(FULL, *[1.0] * 25, *[0.0] * 5, n=1)
    second = result(PART, *[1.0] * 4, *[0.0] * 21, *[1.0] * 5, n=1)
    assert ranked(first, second)["part"].p_value == stats.mcnemar(21, 5)


@pytest.mark.parametrize(
    ("ends", "p_value", "noise", "expected"),
    [
        ((0.01, 0.05), 0.01, None, "better"),
        ((0.01, 0.05), 0.05, 0.02, "better"),
        ((-0.05, -0.01), 0.01, 0.02, "worse"),
        ((0.01, 0.05), 0.051, None, "unclear"),
        ((-0.01, 0.07), 0.01, None, "unclear"),
        ((0.0, 0.06), 0.01, None, "unclear"),
        ((-0.05, -0.01), 0.01, 0.031, "unclear"),
        ((None, None), 0.01, None, "unclear"),
    ],
)
def test_a_verdict_needs_all_three(
    ends: tuple[float | None, float | None], p_value: float, noise: float | None, expected: str
) -> None:
    low, high = ends
    value = 0.03 if low is None or low >= -0.01 else -0.03
    assert verdict(Interval(value=value, low=low, high=high), p_value, noise) == expected


def test_equal_results_are_unclear() -> None:
    part = ranked(result(FULL, *[0.6] * 8), result(PART, *[0.6] * 8))["part"]
    assert (part.p_value, part.verdict) == (1.0, "unclear")


def test_results_without_scores_stand_in_no_table() -> None:
    scored, judged = result(FULL, 0.5), result(PART, 0.5, scores=())
    assert [row.label for row in tables(RUNS.values(), [scored, judged])["echo@say"]] == ["whole"]
    assert tables(RUNS.values(), [judged]) == by_task([judged]) == {}


def test_a_board_is_plain_data() -> None:
    found = tables(RUNS.values(), [result(FULL, 0.5, 0.6), result(PART, 0.5, 0.6)])
    data = to_json("Toys", found)
    assert data["unit"] == "proportion"
    first, second = data["tables"]["echo@say"]
    assert (first["label"], second["label"]) == ("whole", "part")
    assert first["verdict"] is None
    assert (second["verdict"], second["p_value"], second["noise"]) == ("unclear", 1.0, None)
    assert second["detectable"] is None

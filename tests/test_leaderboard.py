from dataclasses import replace

import pytest

from benchbench.errors import BoardError
from benchbench.leaderboard import rank, tables, to_json
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


def test_a_board_is_plain_data() -> None:
    found = tables(RUNS.values(), [result(FULL, 0.5, 0.6), result(PART, 0.5, 0.6)])
    data = to_json("Toys", found)
    assert data["unit"] == "proportion"
    assert [row["label"] for row in data["tables"]["echo@say"]] == ["whole", "part"]

from dataclasses import replace
from typing import Any

import pytest

from benchbench.boards.comparable import key, neighbours, references, refuse_incomparable
from benchbench.errors import BoardError
from benchbench.records.record import DATA_SET, REFERENCE, JudgeSpec, RunRecord, TaskResult
from benchbench.records.store import Snapshot
from tests.toys import TRAIN, result, run_record

BASE, FULL, PART = run_record("untuned"), run_record("whole"), run_record("part")
JUDGE = JudgeSpec(model="wise", served_by="toy", wording="0")
OLD, NEW = "2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z"


def said(found: TaskResult, **changes: Any) -> TaskResult:
    """A result whose spec says something else."""
    return replace(found, spec=replace(found.spec, **changes))


def holding(runs: list[RunRecord], results: list[TaskResult]) -> Snapshot:
    return Snapshot({}, {}).with_records(*runs, *results)


def elsewhere(found: TaskResult) -> list[TaskResult]:
    """The same result in every other table."""
    spec = found.spec
    return [
        said(found, task=replace(spec.task, version=2)),
        said(found, data=replace(spec.data, digest="1")),
        said(found, engine=replace(spec.engine, version="2")),
        said(found, engine=replace(spec.engine, device="cuda")),
        said(found, judge=JUDGE, opponent=DATA_SET),
        replace(found, run=replace(found.run, model=replace(found.run.model, revision="2"))),
        replace(found, run=replace(found.run, train=replace(TRAIN, epochs=1.0))),
    ]


def test_a_key_is_the_same_for_every_method_seed_and_checkpoint() -> None:
    first = result(PART, 0.5)
    for other in (
        result(FULL, 0.1),
        result(run_record("part", 2), 0.2),
        said(first, checkpoint="x"),
    ):
        assert key(other) == key(first)
    assert "training" not in key(result(BASE, 0.1))
    assert "engine" not in key(replace(first, route="transformers"))


@pytest.mark.parametrize("number", range(7))
def test_what_lies_elsewhere_has_another_key_and_stands_beside_nothing(number: int) -> None:
    own, other = result(PART, 0.5), elsewhere(result(FULL, 0.5))[number]
    assert key(own) != key(other)
    assert neighbours([own], [other]) == []
    assert references([own], holding([FULL], [other])) == ()
    with pytest.raises(BoardError, match=r"is .* in one and .* in another; keep them in separate"):
        refuse_incomparable([own, other])


def test_a_judge_s_opponent_may_have_another_seed_but_be_no_other_method() -> None:
    own = said(result(PART, 0.5), judge=JUDGE, opponent=f"{REFERENCE}:full:1")
    other = said(result(FULL, 0.5), judge=JUDGE, opponent=f"{REFERENCE}:full:2")
    assert neighbours([own], [other]) == [other]
    assert neighbours([own], [said(other, opponent=f"{REFERENCE}:half:2")]) == []


def test_of_each_run_the_newest_is_a_neighbour() -> None:
    own, other, base = result(PART, 0.5), result(FULL, 0.5), result(BASE, 0.1)
    old = replace(other, created=OLD)
    new = replace(base, created=NEW)
    assert neighbours([own], [old, other, new, own]) == [new, other]
    assert neighbours([own], [old]) == [old]


def test_neighbours_fit_one_another_too() -> None:
    own = replace(result(PART, 0.5), route="transformers")
    first, second = result(FULL, 0.5), result(run_record("whole", 2), 0.5)
    second = said(second, engine=replace(second.spec.engine, version="2"))
    assert neighbours([own], [first, replace(second, created=OLD)]) == [first]


def test_references_are_the_reference_method_s_other_runs() -> None:
    again = run_record("whole", 2)
    own, full, more = result(PART, 0.5), result(FULL, 0.6), result(again, 0.7)
    known = holding([BASE, FULL, PART, again], [own, full, more, result(BASE, 0.1)])
    assert [each for _, each in references([own], known)] == [full, more]
    assert references([own, full], known) == ((again, more),)
    assert references([result(BASE, 0.1)], known) == ()


def test_a_reference_of_another_training_stands_beside_no_untuned_model() -> None:
    other = replace(result(FULL, 0.6), run=replace(FULL.spec, train=replace(TRAIN, epochs=1.0)))
    trained = said(result(PART, 0.5), task=replace(other.spec.task, name="b"))
    assert references([trained, result(BASE, 0.1)], holding([FULL], [other])) == ()

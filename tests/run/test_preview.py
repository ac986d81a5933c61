"""A preview of a run says what it would do."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchbench import Message, Protocol, Sample, TaskSpec
from benchbench.run.preview import preview
from benchbench.run.request import RunRequest
from tests import toys
from tests.toys import ENGINE
from tests.toys.judge import ToyRequest
from tests.toys.tasks import Judged, Toy, Turns
from tests.toys.world import World, request_, world

__all__ = ["request_", "world"]


class Raising(Turns):
    """Its second question is not ready for an empty answer."""

    name = "raising"

    def next_turn(
        self, sample: Sample, protocol: Protocol, outputs: Sequence[str]
    ) -> Sequence[Message] | None:
        raise IndexError(outputs[-1])


def test_a_preview_tells_what_is_to_do_and_writes_nothing(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    rows = preview(request_, toys.registry(tiny_model))
    assert [row["train"] for row in rows] == ["to do"] * 5
    assert all(row["requests"] == 6 and row["prompt_tokens"] > 6 for row in rows)
    assert json.dumps(rows)
    assert not request_.store.folder.exists()

    world.fails = {"part"}
    world.march(request_, tiny_model)
    rows = preview(request_, toys.registry(tiny_model))
    states = {(row["method"], row["train"], row["evaluate"]) for row in rows}
    assert states == {
        ("untuned", "in store", "in store"),
        ("part", "out_of_memory", "not possible"),
        ("whole", "in store", "in store"),
    }


def test_further_turns_and_a_judge_s_questions_are_counted(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    tasks = tuple(TaskSpec(name=name) for name in ("toy", "turns", "judged", "raising"))
    grid = replace(request_.grid, tasks=tasks, train_on="echo", seeds=(1,))
    registry = toys.registry(tiny_model, (Toy, Turns, Judged, Raising))
    asked = replace(request_, grid=grid, judge=ToyRequest(name="toy"))
    rows = {(row["method"], row["task"]): row for row in preview(asked, registry)}
    once, twice = (rows["part", f"{name}@say"] for name in ("toy", "turns"))
    assert (once["requests"], twice["requests"]) == (2, 4)
    assert (once["most_new_tokens"], twice["most_new_tokens"]) == (2 * 4, 4 * 4)
    assert twice["prompt_tokens"] > 2 * once["prompt_tokens"]
    assert rows["part", "raising@say"]["requests"] == 2
    judged = {task: row["most_judge_requests"] for (_, task), row in rows.items()}
    assert judged == {"toy@say": 0, "turns@say": 0, "judged@say": 4, "raising@say": 0}
    assert {row["train_on"] for key, row in rows.items() if key[0] == "part"} == {"echo@say"}
    assert once["train_samples"] == 6 and rows["untuned", "toy@say"]["train_on"] == ""
    without = preview(replace(asked, judge=None), registry)
    assert {row["most_judge_requests"] for row in without} == {0}


def test_another_engine_is_another_result(
    world: World,
    request_: RunRequest,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world.march(request_, tiny_model)
    other = replace(ENGINE, version="2")
    monkeypatch.setattr("benchbench.run.preview.engine_spec", lambda name, precision: other)
    rows = preview(request_, toys.registry(tiny_model))
    assert {(row["train"], row["evaluate"]) for row in rows} == {("in store", "to do")}

"""A preview of a run says what it would do."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchbench.preview import preview
from benchbench.run import RunRequest
from tests import toys
from tests.toy_world import World, march, request_, world
from tests.toys import ENGINE

__all__ = ["request_", "world"]


def test_a_preview_tells_what_is_to_do_and_writes_nothing(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    rows = preview(request_, toys.registry(tiny_model))
    assert [row["train"] for row in rows] == ["to do"] * 5
    assert all(row["requests"] == 6 and row["prompt_tokens"] > 6 for row in rows)
    assert json.dumps(rows)
    assert not request_.store.folder.exists()

    world.fails = {"part"}
    march(request_, tiny_model)
    rows = preview(request_, toys.registry(tiny_model))
    states = {(row["method"], row["train"], row["evaluate"]) for row in rows}
    assert states == {
        ("untuned", "in store", "in store"),
        ("part", "out_of_memory", "not possible"),
        ("whole", "in store", "in store"),
    }


def test_another_engine_is_another_result(
    world: World,
    request_: RunRequest,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    march(request_, tiny_model)
    other = replace(ENGINE, version="2")
    monkeypatch.setattr("benchbench.preview.engine_spec", lambda name, precision: other)
    rows = preview(request_, toys.registry(tiny_model))
    assert {(row["train"], row["evaluate"]) for row in rows} == {("in store", "to do")}

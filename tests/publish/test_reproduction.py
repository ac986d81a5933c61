"""The command on a model card describes the very run."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from benchbench import RunSpec
from benchbench.cli import app
from benchbench.cli.run import grid_of_flags
from benchbench.plan.plan import make_plan
from benchbench.publish.reproduction import command
from benchbench.records.record import JudgeSpec
from benchbench.registry.registry import Registry
from tests import toys
from tests.toys import result, run_record

REGISTRY = Registry.load()


def words(text: str) -> list[str]:
    _, line, *_ = text.split("\n")
    return shlex.split(line)


def planned(arguments: list[str]) -> list[RunSpec]:
    """Return the runs that a command trains."""
    run = get_command(app).commands["run"]  # type: ignore[attr-defined]
    flags: dict[str, Any] = run.make_context("run", arguments).params
    keys = ("method", "tasks", "model", "train_on", "seeds", "setting")
    grid = grid_of_flags(*(flags[key] for key in keys))
    plan = make_plan(grid, REGISTRY, None, "float32")
    return [run.spec for run in plan.runs if run.spec.train]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--method", "lora:rank=8,targets=q_proj+v_proj", "--tasks", "super-ni:train_instances=3"],
        ["--method", "full", "--seeds", "7", "--set", "profile=author-compat"],
        ["--method", "prompt-tuning", "--set", "packing=false", "--set", "epochs=0.5"],
        ["--method", "adapter", "--set", "steps=9", "--set", "max_grad_norm=0"],
        ["--method", "ia3", "--tasks", "gsm8k", "--train-on", "super-ni@def-pos2"],
        ["--method", "lora", "--train-on", "alpaca"],
    ],
)
def test_the_command_describes_the_very_run(arguments: list[str]) -> None:
    (spec,) = planned(arguments)
    record = replace(run_record(), spec=spec)
    again = words(command(record, [], None, REGISTRY))
    assert again[:2] == ["benchbench", "run"]
    assert [found.id for found in planned(again[2:])] == [spec.id]


def test_what_only_the_reader_knows_is_left_to_fill_in() -> None:
    record = run_record()
    found = result(record, 0.5)
    judge = JudgeSpec(model="wise", served_by="endpoint", wording="0")
    data = replace(found.spec.data, source="folder")
    judged = replace(found, spec=replace(found.spec, judge=judge, data=data))
    text = command(record, [judged, judged], None, toys.registry(Path("nowhere")))
    line = words(text)
    assert line[-4:] == ["--data", "DATA", "--judge", "wise@URL"]
    assert line[line.index("--model") + 1] == "toy"
    assert line[line.index("--tasks") + 1] == "echo@say"
    assert text.endswith("DATA, URL: yours to fill in.")
    unknown = replace(toys.registry(Path("nowhere")), models={})
    assert "--model FOLDER" in command(record, [], None, unknown)
    assert "--model org/base@sha256:0" in command(record, [], "org/base", unknown)

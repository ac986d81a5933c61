"""The whole line of march on nano and the embedded sample, through each engine."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SMALL = [
    *("--method", "lora", "--method", "full"),
    *("--tasks", "super-ni:instances=3,train_instances=4"),
    *("--set", "epochs=1"),
]

ENGINES = [
    pytest.param(
        "vllm",
        marks=[
            pytest.mark.vllm,
            pytest.mark.skipif(
                importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"
            ),
        ],
    ),
    pytest.param("transformers", marks=pytest.mark.slow),
]


def start(out: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "benchbench", "run", *arguments, "--out", str(out), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        start_new_session=True,
    )


def finish(out: Path, *arguments: str) -> list[dict[str, Any]]:
    with start(out, *arguments) as child:
        stdout, stderr = child.communicate(timeout=400)
    assert child.returncode == 0, stderr
    rows: list[dict[str, Any]] = json.loads(stdout)
    return rows


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for both engines, so that each checkpoint is trained once."""
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_main_command(engine: str, store: Path) -> None:
    rows = finish(store, *SMALL, "--engine", engine)
    assert [row["method"] for row in rows] == ["base", "lora", "full"]
    for row in rows:
        assert row["engine"]["name"] == engine
        assert row["data"] == "sample"
        assert row["parity"]["passed"] and row["parity"]["max_difference"] < 1e-3
        assert 0 <= row["ci"][0] <= row["score"] <= row["ci"][1] <= 1
        samples = Path(row["record"]).with_name("samples.jsonl").read_bytes()
        assert row["n"] == len(samples.splitlines())
        assert str(Path.home()) not in Path(row["record"]).read_text()
    assert rows[0]["parity"]["effect"] < 1e-3 < rows[1]["parity"]["effect"]
    assert rows[1]["cost"]["trainable_parameters"] < rows[2]["cost"]["trainable_parameters"]


@pytest.mark.vllm
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_both_engines_say_the_same(store: Path) -> None:
    answers: dict[str, dict[str, list[str]]] = {}
    for engine in ("vllm", "transformers"):
        for row in finish(store, *SMALL, "--engine", engine):
            path = Path(row["record"]).with_name("samples.jsonl")
            for line in map(json.loads, path.read_bytes().splitlines()):
                answers.setdefault(engine, {})[f"{row['run_id']} {line['id']}"] = line["outputs"]
    assert len(answers["vllm"]) >= 64
    assert answers["vllm"] == answers["transformers"]


@pytest.mark.parametrize("engine", ENGINES)
def test_killed_again_and_again_it_ends_with_the_same_scores(
    engine: str, store: Path, tmp_path: Path
) -> None:
    wanted = {row["run_id"]: row["score"] for row in finish(store, *SMALL, "--engine", engine)}
    kills = 0
    # A kill whenever something new is there: a training, a checkpoint, some answers.
    for pattern in ("*/train.jsonl", "*/run.json", "*/checkpoint", "*/tasks/*/samples.jsonl"):
        before = len(list(tmp_path.glob(pattern)))
        with start(tmp_path, *SMALL, "--engine", engine) as child:
            while child.poll() is None and len(list(tmp_path.glob(pattern))) <= before:
                time.sleep(0.02)
            if child.poll() is None:
                os.kill(child.pid, signal.SIGKILL)
                kills += 1
    assert kills >= 3
    rows = finish(tmp_path, *SMALL, "--engine", engine)
    assert {row["run_id"]: row["score"] for row in rows} == wanted
    for row in rows:
        lines = (Path(row["record"]).parent / "samples.jsonl").read_bytes().splitlines()
        assert len({json.loads(line)["id"] for line in lines}) == len(lines) == row["n"]
    for log in tmp_path.glob("*/train.jsonl"):
        steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
        assert steps == list(range(1, len(steps) + 1))

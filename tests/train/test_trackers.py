"""Trackers are told what ``train.jsonl`` holds, change nothing, and cannot end a training."""

import json
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import DefaultFlowCallback, TrainerCallback, TrainerControl, TrainerState
from transformers.integrations import integration_utils
from transformers.trainer_callback import CallbackHandler

from benchbench.errors import BadParameter
from benchbench.run.request import RunRequest
from benchbench.train import launcher, trackers
from benchbench.train.job import TrainJob
from benchbench.train.launcher import train
from tests.cli.test_cli import Command, command
from tests.toys.jobs import LORA, NewJob, done, examples, new_job
from tests.toys.world import Says, World, request_, world

__all__ = ["command", "examples", "new_job", "request_", "world"]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[TrainerCallback]:
    """A tracker that notes what it is told, draws random numbers, and may fail."""

    class Fake(TrainerCallback):
        told: list[tuple[int, dict[str, float]]] = []
        fails_at = ""

        def __init__(self) -> None:
            self.act("start")

        def act(self, event: str) -> None:
            random.random(), np.random.rand(), torch.rand(1)
            if event == self.fails_at:
                raise ConnectionError("nobody\nis there")

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.act("train_begin")

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            self.act("log")
            self.told.append((state.global_step, dict(logs)))

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "fake", Fake)
    found = integration_utils.get_available_reporting_integrations
    monkeypatch.setattr(
        integration_utils,
        "get_available_reporting_integrations",
        lambda: [*found(), "fake"],
    )
    return Fake


def drive(work: Path) -> CallbackHandler:
    """Let a handler of Trainer's begin a training and log twice."""
    callbacks = [DefaultFlowCallback(), *trackers.callbacks(["fake"], work)]
    handler = CallbackHandler(callbacks, torch.nn.Identity(), None, None, None)
    arguments: Any = None
    state, control = TrainerState(), TrainerControl()
    handler.on_train_begin(arguments, state, control)
    for step in (1, 2):
        state.global_step = step
        assert handler.on_log(arguments, state, control, {"loss": 1.0 / step}) is control
    handler.on_train_end(arguments, state, control)
    return handler


def test_a_tracker_is_told_everything(fake: Any, tmp_path: Path) -> None:
    drive(tmp_path)
    assert fake.told == [(1, {"loss": 1.0}), (2, {"loss": 0.5})]
    assert trackers.failures(tmp_path) == []


@pytest.mark.parametrize("event", ["start", "train_begin", "log"])
def test_a_tracker_that_fails_is_left_out_and_said_so_once(
    event: str, fake: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fails_at = event
    drive(tmp_path)
    assert fake.told == []
    (line,) = trackers.failures(tmp_path)
    assert line == (
        "tracker fake failed and is left out from here on (ConnectionError: nobody is there)"
    )
    assert capsys.readouterr().err == f"{line}\n"
    fake.fails_at = ""
    drive(tmp_path)  # as a training does that goes on from a checkpoint
    assert trackers.failures(tmp_path) == []


@pytest.mark.parametrize("fails_at", ["", "log"])
def test_a_tracker_moves_no_random_number(fails_at: str, fake: Any, tmp_path: Path) -> None:
    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    def seed() -> None:
        random.seed(1), np.random.seed(1), torch.manual_seed(1)

    fake.fails_at = fails_at
    seed()
    expected = drawn()
    seed()
    drive(tmp_path)
    assert drawn() == expected


def test_a_failure_is_told_on_screen(
    world: World, request_: RunRequest, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = world.train

    def failing(job: TrainJob, progress: Any) -> Any:
        if "fake" in job.trackers and job.spec.method.name == "part":
            job.work.mkdir(parents=True)
            (job.work / trackers.FAILED).write_text("tracker fake failed\n")
        return train(job, progress)

    monkeypatch.setattr(world, "train", failing)
    says = Says()
    request = replace(request_, trackers=("fake",))
    assert world.march(request, tiny_model, says).ok
    assert [line for line in says.lines if "failed" in line] == [
        "part (seed 1): tracker fake failed",
        "part (seed 2): tracker fake failed",
    ]


class Stopped(Exception):
    """Nothing is to be started."""


Started = Callable[[TrainJob], dict[str, str]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Return the environment that a job's process would have."""

    def start(job: TrainJob) -> dict[str, str]:
        found: dict[str, str] = {}

        def popen(*_: Any, env: dict[str, str], **__: Any) -> None:
            found.update(env)
            raise Stopped

        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", popen)
            with pytest.raises(Stopped):
                launcher.train(job)
        return found

    return start


PLACES = {
    "tensorboard": ("TENSORBOARD_LOGGING_DIR", "{folder}/tensorboard"),
    "wandb": ("WANDB_DIR", "{folder}"),
    "mlflow": ("MLFLOW_TRACKING_URI", "sqlite:///{folder}/mlflow.db"),
    "trackio": ("TRACKIO_DIR", "{folder}/trackio"),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_tracker_writes_into_the_run_s_folder_unless_told_otherwise(
    name: str, new_job: NewJob, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, place = PLACES[name]
    monkeypatch.delenv(key, raising=False)
    job = replace(new_job("lora", LORA), trackers=(name,))
    assert started(job)[key] == place.format(folder=job.folder)
    assert key not in started(replace(job, trackers=()))
    monkeypatch.setenv(key, "mine")
    assert started(job)[key] == "mine"


def test_a_relative_store_is_named_in_full(in_folder: Path) -> None:
    (place,) = trackers.environment(["tensorboard"], Path("runs/1")).values()
    assert place == str(in_folder / "runs/1/tensorboard")


def test_what_cannot_be_reported_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    trackers.check([])
    with pytest.raises(BadParameter, match=r"names 'tensorbord'; known are .*tensorboard, .*\.$"):
        trackers.check(["tensorbord"])
    monkeypatch.setattr(
        integration_utils, "get_available_reporting_integrations", lambda: ["wandb"]
    )
    trackers.check(["wandb"])
    with pytest.raises(BadParameter, match="not installed here or not set up; run: pip install "):
        trackers.check(["wandb", "tensorboard"])
    with pytest.raises(BadParameter, match=r"pip install comet-ml$"):
        trackers.check(["comet_ml"])


def test_the_flag_is_checked_before_anything_is_done(command: Command) -> None:
    ended = command("run", "--report-to", "tensorbord", "--dry-run")
    assert ended.code == 2 and ended.out == ""
    assert ended.err.startswith("benchbench: --report-to names 'tensorbord'; known are ")
    assert not list(Path().iterdir())


def test_the_flag_takes_commas_and_repeats(fake: Any) -> None:
    from benchbench.cli.run import parse_trackers

    assert parse_trackers(["fake, fake", "fake,"]) == ("fake",)
    assert parse_trackers(None) == ()


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Return what TensorBoard's own reader finds, by name and step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: {e.step: e.value for e in found.Scalars(tag)} for tag in found.Tags()["scalars"]}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_what_was_recorded_and_changes_no_bit(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    alone = train(new_job("lora", LORA, folder="alone"))
    job = replace(new_job("lora", LORA, folder="watched"), trackers=("tensorboard",))
    watched = train(job)
    assert (watched.status, watched.reason) == ("done", "")
    assert alone.artefact is not None and watched.artefact == alone.artefact
    lines = [json.loads(line) for line in job.steps.read_text().splitlines()]
    found = scalars(job.folder / "tensorboard")
    for tag, key in (
        ("train/loss", "loss"),
        ("train/grad_norm", "gradient_norm"),
        ("train/learning_rate", "learning_rate"),
    ):
        recorded = {line["step"]: line[key] for line in lines}
        assert len(recorded) == 16
        assert found[tag] == pytest.approx(recorded, rel=1e-6)
    assert not (job.work / trackers.FAILED).exists()


def test_a_training_is_the_same_whatever_its_tracker_does(fake: Any, new_job: NewJob) -> None:
    alone = done(new_job("lora", LORA, folder="alone"))
    for fails_at in ("", "start", "log"):
        fake.fails_at = fails_at
        fake.told.clear()
        job = replace(new_job("lora", LORA, folder=f"watched {fails_at}"), trackers=("fake",))
        assert done(job).artefact == alone.artefact
        assert len(trackers.failures(job.work)) == bool(fails_at)
        lines = [json.loads(line) for line in job.steps.read_text().splitlines()]
        recorded = [(line["step"], line["loss"]) for line in lines]
        told = [(step, logs["loss"]) for step, logs in fake.told if "loss" in logs]
        assert told == ([] if fails_at else recorded)

"""Training in a process of its own: how it starts, dies and continues. Kills are real."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchbench.errors import TrainingStopped
from benchbench.records.record import PluginOrigin
from benchbench.train import job, launcher, process
from benchbench.train.job import Progress, TrainJob
from benchbench.train.launcher import train
from tests.toys.jobs import FULL, LORA, NewJob, done, examples, new_job

__all__ = ["examples", "new_job"]

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let children find the toy methods, and compute as this process does."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def at_step(step: int, act: Callable[[], Any]) -> Callable[[Progress], None]:
    """Do something once training has finished a step."""

    def progress(progress: Progress) -> None:
        if progress.step == step:
            act()

    return progress


def trainings() -> list[psutil.Process]:
    """Return the processes that train for this one; a sandbox may have others."""
    children = psutil.Process().children()
    return [each for each in children if "benchbench.train.process" in each.cmdline()]


def kill_child() -> None:
    (child,) = trainings()
    os.kill(child.pid, signal.SIGKILL)


def interrupt() -> None:
    raise KeyboardInterrupt


def assert_each_step_once(job: TrainJob, steps: int) -> None:
    import json

    lines = [json.loads(line) for line in job.steps.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, steps + 1))


def test_full_finetuning_survives_kills_and_interrupts_bit_by_bit(new_job: NewJob) -> None:
    straight = new_job("full", FULL, folder="straight", epochs=12.0)
    expected = done(straight)
    broken = new_job("full", FULL, folder="broken", epochs=12.0)

    with pytest.raises(TrainingStopped, match=r"^the process died of signal 9 \(SIGKILL\)"):
        train(broken, at_step(27, kill_child))
    assert (broken.work / "checkpoint-25").is_dir()

    with pytest.raises(KeyboardInterrupt):
        train(broken, at_step(53, interrupt))
    assert not trainings()

    seen: list[Progress] = []
    outcome = train(broken, seen.append)
    assert next(p.step for p in seen if p.phase == "training") == 50
    assert outcome.status == "done", outcome.reason
    assert outcome.artefact == expected.artefact
    assert outcome.cost and expected.cost
    assert outcome.cost.final_loss == expected.cost.final_loss
    assert outcome.cost.train_tokens == expected.cost.train_tokens
    assert_each_step_once(broken, 96)
    names = ["checkpoint", "parity.json", "train.jsonl", "train.log", "work"]
    assert sorted(p.name for p in broken.folder.iterdir()) == names
    assert sorted(p.name for p in broken.work.iterdir()) == ["job.json", "outcome.json"]
    assert (broken.folder / "parity.json").read_bytes() == (
        straight.folder / "parity.json"
    ).read_bytes()

    def refuse(progress: Progress) -> None:
        raise AssertionError("it was trained again")

    assert train(broken, refuse) == outcome


PARENT = """
import sys
from pathlib import Path
from benchbench.train import job
from benchbench.train.job import TrainJob
from benchbench.train.launcher import train
train(job.read(Path(sys.argv[1]), TrainJob), lambda p: print(p.step, flush=True))
"""


def test_training_dies_with_its_killed_parent_and_lora_goes_on(
    new_job: NewJob, tmp_path: Path
) -> None:
    params = {**LORA, "dropout": 0.1}
    expected = done(new_job("lora", params, folder="straight", epochs=12.0))
    broken = new_job("lora", params, folder="broken", epochs=12.0)
    job.write(tmp_path / "job.json", broken)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "job.json")],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        for line in parent.stdout or ():
            if int(line) == 28:
                (child,) = psutil.Process(parent.pid).children()
                os.kill(parent.pid, signal.SIGKILL)
                break
    gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone
    assert not (broken.work / "outcome.json").exists()

    outcome = train(broken)
    assert outcome.status == "done", outcome.reason
    assert_each_step_once(broken, 96)
    kept, straight = (
        (folder / "adapter_model.safetensors").read_bytes()
        for folder in (broken.checkpoint, tmp_path / "straight" / "checkpoint")
    )
    assert kept == straight
    assert outcome.cost and expected.cost
    assert outcome.cost.final_loss == expected.cost.final_loss


def test_what_a_method_prints_is_logged_and_its_error_is_the_outcome(new_job: NewJob) -> None:
    broken = new_job("broken", {"step": 2})
    seen: list[Progress] = []
    outcome = train(broken, seen.append)
    assert (outcome.status, outcome.reason) == ("failed", "ValueError: no luck with ~/secret")
    assert max(p.step for p in seen) == 1
    log = broken.log.read_text()
    assert '"step": 99' in log and "Traceback" in log
    assert train(broken, seen.append) == outcome  # known, so not tried again


def test_a_process_the_kernel_killed_for_memory_ran_out_of_it(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter([3, 4])
    monkeypatch.setattr(launcher, "_oom_kills", lambda: next(kills))
    monkeypatch.setattr(launcher, "_run_processes", lambda *_: -signal.SIGKILL)
    outcome = train(new_job("full"))
    assert outcome.status == "out_of_memory"
    assert outcome.reason == "memory ran out and the kernel killed the process"


def test_a_process_without_an_outcome_is_known_by_its_last_words(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_process(job: TrainJob, log: int, progress: object) -> int:
        os.write(log, b"earlier\nlast words\n\n")
        return 1

    monkeypatch.setattr(launcher, "_run_processes", run_process)
    outcome = train(new_job("full"))
    assert outcome.status == "failed"
    assert outcome.reason == (
        "the process ended with code 1 and no outcome; train.log ends with: last words"
    )


def test_the_kernel_s_count_of_kills_is_read() -> None:
    assert launcher._oom_kills() >= 0


def test_another_run_s_work_is_not_continued(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "_run_processes", lambda *_: 1)
    first, second = new_job("full", seed=1), new_job("full", seed=2)
    train(first)
    stale = first.work / "checkpoint-25"
    stale.mkdir()
    train(first)
    assert stale.exists()
    job.write(first.work / "outcome.json", first.record("diverged"))
    assert train(first).status == "diverged"
    assert train(second).status == "failed"
    assert not stale.exists()


def test_what_an_earlier_attempt_wrote_down_is_forgotten(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "_run_processes", lambda *_: 1)
    begun = new_job("full")
    begun.folder.mkdir(parents=True)
    begun.steps.write_text('{"step": 0, "validation": 0.99, "seconds": 1}\n')
    train(begun)
    assert not begun.steps.exists()
    begun.steps.write_text('{"step": 0, "validation": 0.5, "seconds": 1}\n')
    train(begun)
    assert begun.steps.exists(), "this one goes on"


def test_a_group_that_this_process_is_in_is_not_the_training_s(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    outcome = train(new_job("full", FULL, steps=2))
    assert outcome.status == "done", outcome.reason
    assert outcome.cost and outcome.cost.processes == 1


def test_a_run_begun_with_other_code_is_not_continued(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while a plugin's file is being written: its content is its version."""
    monkeypatch.setattr(launcher, "_run_processes", lambda *_: 1)
    old, new = (
        replace(
            new_job("full"),
            origin=PluginOrigin(plugin="mine", distribution="file", version=version),
        )
        for version in ("1", "2")
    )
    train(old)
    stale = old.work / "checkpoint-25"
    stale.mkdir()
    train(old)
    assert stale.exists()
    train(new)
    assert not stale.exists()


def test_a_plugin_that_changed_under_way_trains_nothing(new_job: NewJob) -> None:
    origin = PluginOrigin(plugin="mine", distribution="file", version="of the parent")
    outcome = process.run(replace(new_job("full"), origin=origin), lambda _: None)
    assert outcome.status == "failed"
    assert "changed while the command ran" in outcome.reason


def test_as_many_devices_as_asked_for_are_shown_to_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, devices, shown in (
        ("2,3", 1, "2"), ("2,3,5", 2, "2,3"), ("", 1, ""), (None, 1, "0"), (None, 2, "0,1")
    ):  # fmt: skip
        if given is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        assert launcher._environment(devices)["CUDA_VISIBLE_DEVICES"] == shown

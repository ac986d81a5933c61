"""Two processes that train together, over gloo; kills are real."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchbench.errors import TrainingStopped
from benchbench.records.record import Instability, RunRecord
from benchbench.train.examples import plan
from benchbench.train.job import Progress, TrainJob, read
from benchbench.train.launcher import train
from tests.toys.jobs import FULL, LORA, TRAIN, NewJob, examples, losses, new_job, weights
from tests.train.test_process import at_step, environment, trainings

__all__ = ["environment", "examples", "new_job"]

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(job: TrainJob) -> TrainJob:
    outcome = train(job)
    assert (outcome.status, outcome.reason) == ("done", ""), job.log.read_text()[-2000:]
    assert outcome.cost and outcome.cost.processes == job.devices
    return job


def outcome_of(job: TrainJob) -> RunRecord:
    found = read(job.work / "outcome.json", RunRecord)
    assert found
    return found


@pytest.mark.parametrize(
    ("name", "params"), [pytest.param("full", FULL, marks=pytest.mark.slow), ("lora", LORA)]
)
def test_two_processes_train_what_one_does(
    name: str, params: dict[str, Any], new_job: NewJob
) -> None:
    import torch

    alone = trained(new_job(name, params, folder="alone", gradient_accumulation=2))
    together = trained(replace(new_job(name, params, folder="together"), devices=2))
    assert len(losses(alone)) == len(losses(together)) == 16
    assert losses(together) == pytest.approx(losses(alone), rel=1e-5)
    kept = weights(together)
    for key, tensor in weights(alone).items():
        torch.testing.assert_close(kept[key], tensor, atol=2e-5, rtol=1e-3)
    lines = [json.loads(line) for line in together.steps.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 17))


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_killed_process_takes_the_other_along_and_both_go_on(rank: int, new_job: NewJob) -> None:
    params = {**LORA, "dropout": 0.1}
    straight = trained(replace(new_job("lora", params, folder="straight", epochs=6.0), devices=2))
    broken = replace(new_job("lora", params, folder="broken", epochs=6.0), devices=2)
    with pytest.raises(TrainingStopped):
        train(broken, at_step(28, lambda: kill(rank)))
    assert not trainings()
    seen: list[Progress] = []
    outcome = train(broken, seen.append)
    assert outcome.status == "done", outcome.reason
    assert next(p.step for p in seen if p.phase == "training") == 25
    assert losses(broken) == losses(straight)
    names = [path.name for path in broken.checkpoint.iterdir() if path.suffix == ".safetensors"]
    for name in names:
        first, second = ((job.checkpoint / name).read_bytes() for job in (broken, straight))
        assert first == second


def kill(rank: int) -> None:
    found = {process.environ()["RANK"]: process.pid for process in trainings()}
    os.kill(found[str(rank)], signal.SIGKILL)


def test_what_ends_one_process_is_told_as_it_was(new_job: NewJob) -> None:
    outcome = train(replace(new_job("loses-its-loss"), devices=2))
    assert (outcome.status, outcome.reason) == ("diverged", "the loss was nan at step 3 of 16")
    assert outcome.instabilities == (Instability(kind="nan", step=3),)
    assert not trainings()


def test_every_process_has_as_many_parts_of_a_step() -> None:
    lengths = [5] * 40
    for processes, accumulation in ((2, 1), (2, 3), (4, 1), (3, 2)):
        train_spec = replace(TRAIN, batch_size=12, gradient_accumulation=accumulation)
        steps = plan(lengths, train_spec, 0, processes)
        assert {len(step) % processes for step in steps} == {0}
        assert len(steps[0]) >= accumulation
        whole = plan(lengths, replace(train_spec, gradient_accumulation=1), 0)
        assert [[i for part in step for i in part] for step in steps] == [
            batch for (batch,) in whole
        ]
    with pytest.raises(ValueError, match="batches of 4 samples cannot be shared by 5 devices"):
        plan(lengths, TRAIN, 0, 5)


def test_nothing_of_a_meeting_stays(new_job: NewJob) -> None:
    job = replace(new_job("full", FULL, steps=2), devices=2)
    trained(job)
    assert sorted(path.name for path in job.work.iterdir()) == ["job.json", "outcome.json"]
    assert not list(Path(job.folder).glob("*meeting*"))


@pytest.mark.slow
def test_weights_in_parts_train_as_whole_ones_do_and_go_on_bit_by_bit(new_job: NewJob) -> None:
    import torch

    alone = trained(new_job("full", FULL, folder="alone", epochs=4.0, gradient_accumulation=2))
    parts = {"devices": 2, "sharded": True}
    together = replace(new_job("full", FULL, folder="together", epochs=4.0), **parts)
    trained(together)
    assert outcome_of(together).cost.sharded and not outcome_of(alone).cost.sharded  # type: ignore[union-attr]
    assert losses(together) == pytest.approx(losses(alone), rel=1e-4)
    kept = weights(together)
    for key, tensor in weights(alone).items():
        torch.testing.assert_close(kept[key], tensor, atol=1e-4, rtol=1e-3)

    broken = replace(new_job("full", FULL, folder="broken", epochs=4.0), **parts)
    with pytest.raises(TrainingStopped):
        train(broken, at_step(28, lambda: kill(1)))
    seen: list[Progress] = []
    outcome = train(broken, seen.append)
    assert outcome.status == "done", outcome.reason
    assert next(p.step for p in seen if p.phase == "training") == 25
    again = weights(broken)
    assert all(torch.equal(again[name], tensor) for name, tensor in kept.items())
    assert again.keys() == kept.keys()


def test_an_adapter_is_never_cut_into_parts_and_other_devices_begin_again(new_job: NewJob) -> None:
    job = replace(new_job("lora", LORA, epochs=4.0), devices=2, sharded=True)
    with pytest.raises(TrainingStopped):
        train(job, at_step(28, lambda: kill(0)))
    seen: list[Progress] = []
    outcome = train(replace(job, devices=1), seen.append)
    assert outcome.status == "done", outcome.reason
    assert next(p.step for p in seen if p.phase == "training") == 0
    assert outcome.cost and (outcome.cost.processes, outcome.cost.sharded) == (1, False)


def test_one_process_that_fails_alone_ends_the_others_and_is_told(new_job: NewJob) -> None:
    for rank in (0, 1):
        job = replace(new_job("lonely", {"rank": rank}, folder=f"rank{rank}"), devices=2)
        outcome = train(job)
        assert (outcome.status, outcome.reason) == ("failed", f"ValueError: rank {rank} is lonely")
    assert not trainings()

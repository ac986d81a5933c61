"""What the profiles of training do, against the arithmetic of the study's code."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchbench import MethodSpec, TaskSpec
from benchbench.errors import BadParameter
from benchbench.plan.plan import Grid, make_plan
from benchbench.specs import Role, TrainSpec
from benchbench.train.schedule import learns_padding, schedule
from tests import toys
from tests.toys.jobs import LORA, TRAIN, NewJob, done, examples, new_job

__all__ = ["examples", "new_job"]

AUTHOR = replace(TRAIN, profile="author-compat", max_grad_norm=0.0)


def rates(train: TrainSpec, role: Role, peak: float, steps: int) -> list[float]:
    """The learning rate of each step, as torch's scheduler sets it."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    scheduler = schedule(train, role).build(optimizer, steps)
    found = []
    for _ in range(steps):
        found += scheduler.get_last_lr()
        optimizer.step()
        scheduler.step()
    return found


def test_the_standard_rate_rises_for_3_percent_and_falls_to_zero() -> None:
    found = rates(TRAIN, "candidate", 0.01, 100)
    # Of 3 warm-up steps the first has none.
    assert found[:4] == pytest.approx([0.0, 0.01 / 3, 0.02 / 3, 0.01])
    assert found[-1] == pytest.approx(0.01 / 97)
    assert rates(TRAIN, "candidate", 0.01, 1) == [0.01]


def test_the_author_s_rate_peaks_at_6_percent_and_ends_half_way() -> None:
    found = rates(AUTHOR, "candidate", 0.01, 100)
    assert max(range(100), key=lambda step: found[step]) == 6
    # Measured with the author's own arithmetic: 51.5 % of the peak after the last step.
    assert found[-1] / 0.01 == pytest.approx(0.515, abs=0.006)


def test_the_author_s_full_finetuning_has_a_constant_rate() -> None:
    assert set(rates(AUTHOR, "reference", 0.003, 16)) == {0.003}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("train", [TRAIN, AUTHOR], ids=lambda train: train.profile)
def test_a_training_follows_its_schedule(train: TrainSpec, new_job: NewJob) -> None:
    job = new_job("lora", LORA, steps=8, profile=train.profile)
    done(job)
    lines = [json.loads(line) for line in job.steps.read_text().splitlines()]
    expected = rates(train, "candidate", LORA["learning_rate"], 8)
    assert [line["learning_rate"] for line in lines] == pytest.approx(expected)


def test_full_finetuning_alone_has_no_weight_decay_in_the_author_s_code() -> None:
    assert schedule(AUTHOR, "reference").weight_decay == 0
    assert schedule(AUTHOR, "candidate").weight_decay == 0.01
    assert schedule(TRAIN, "reference") == schedule(TRAIN, "candidate")
    assert [learns_padding(train) for train in (AUTHOR, TRAIN)] == [True, False]


def train_of(tiny_model: Path, **settings: str) -> TrainSpec:
    grid = Grid(
        model="toy",
        methods=(MethodSpec(name="part"),),
        tasks=(TaskSpec(name="echo"),),
        train=settings,
    )
    train = make_plan(grid, toys.registry(tiny_model), None, "float32").runs[-1].spec.train
    assert train
    return train


def test_a_profile_s_own_settings_can_be_changed(tiny_model: Path) -> None:
    assert train_of(tiny_model).max_grad_norm == 1.0
    assert train_of(tiny_model, profile="author-compat").max_grad_norm == 0.0
    found = train_of(tiny_model, profile="author-compat", max_grad_norm="2")
    assert (found.profile, found.max_grad_norm) == ("author-compat", 2.0)
    with pytest.raises(BadParameter, match="profile is 'x'; it must be one of standard, author"):
        train_of(tiny_model, profile="x")

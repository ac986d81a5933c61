"""What the profiles of training do, against the arithmetic of the study's code."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchbench import MethodSpec, TaskSpec
from benchbench.errors import BadParameter
from benchbench.plan.plan import Grid, make_plan
from benchbench.specs import TrainSpec
from benchbench.train.schedule import learns_padding, schedule
from tests import toys
from tests.toys.jobs import FULL, LORA, TRAIN, NewJob, done, examples, new_job

__all__ = ["examples", "new_job"]

AUTHOR = replace(TRAIN, profile="author-compat", max_grad_norm=0.0)


def rates(job: object) -> list[float]:
    import json

    lines = job.steps.read_text().splitlines()  # type: ignore[attr-defined]
    return [json.loads(line)["learning_rate"] for line in lines]


@pytest.mark.usefixtures("one_thread")
def test_the_standard_rate_rises_for_3_percent_and_falls_to_zero(new_job: NewJob) -> None:
    job = new_job("lora", LORA, epochs=12.5)
    done(job)
    found = rates(job)
    assert len(found) == 100
    # The rate logged is that of the step just taken: of 3 warm-up steps the first has none.
    assert found[:4] == pytest.approx([0.0, 0.01 / 3, 0.02 / 3, 0.01])
    assert found[-1] == pytest.approx(0.01 / 97)


@pytest.mark.usefixtures("one_thread")
def test_the_author_s_rate_peaks_at_6_percent_and_ends_half_way(new_job: NewJob) -> None:
    job = new_job("lora", LORA, epochs=12.5, profile="author-compat", max_grad_norm=0.0)
    done(job)
    found = rates(job)
    assert max(range(100), key=lambda step: found[step]) == 6
    # Measured with the author's own arithmetic: 51.5 % of the peak after the last step.
    assert found[-1] / 0.01 == pytest.approx(0.515, abs=0.006)


@pytest.mark.usefixtures("one_thread")
def test_the_author_s_full_finetuning_has_a_constant_rate(new_job: NewJob) -> None:
    job = new_job("full", FULL, epochs=2.0, profile="author-compat")
    done(job)
    assert set(rates(job)) == {0.003}


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

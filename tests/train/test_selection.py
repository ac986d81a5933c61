"""Which weights of a training are kept, and that an interruption changes nothing of it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchbench import TaskSpec
from benchbench.plan.samples import read_split
from benchbench.records.record import Instability
from benchbench.registry.registry import Registry
from benchbench.specs import DataSpec, ValidationSpec
from benchbench.train import process, trainer
from benchbench.train.job import Progress, TrainJob
from benchbench.train.selection import Validation
from tests.toys.jobs import FULL, LORA, NewJob, done, examples, new_job, run, weights

__all__ = ["examples", "new_job"]

pytestmark = pytest.mark.usefixtures("one_thread")

TASK = Registry.load().resolve_task(
    TaskSpec(
        name="super-ni", split="train", params={"validation_tasks": 2, "validation_instances": 3}
    )
)
SPLIT = read_split(Registry.load(), replace(TASK, split="validation"), None)
HELD_OUT = ValidationSpec(data=SPLIT.data, groups=("a", "b"), metric="rouge_l")


@pytest.fixture
def validated(new_job: NewJob) -> Callable[..., TrainJob]:
    """Make a job of 48 steps that is scored 6 times."""

    def make(name: str = "full", params: dict[str, Any] | None = None, **changes: Any) -> TrainJob:
        given = {"full": FULL, "lora": LORA}.get(name, {}) if params is None else params
        settings = {"task": TASK, "validation": HELD_OUT, "evaluations": 6, "steps": 48} | changes
        return new_job(name, given, **settings)

    return make


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], list[dict[str, Any]]]:
    """Say what validations score; what was in the model then is in the list that is returned."""

    def prepare(scores: list[float]) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        given: Iterator[float] = iter(scores)

        def score(self: Validation, model: Any) -> float:
            seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
            if (value := next(given)) < 0:
                raise RuntimeError("interrupted")
            return value

        monkeypatch.setattr(Validation, "score", score)
        return seen

    return prepare


def test_the_best_weights_are_kept_and_their_step_is_recorded(
    validated: Callable[..., TrainJob], scored: Any
) -> None:
    import torch

    seen = scored([0.1, 0.2, 0.5, 0.3, 0.5, 0.4, 0.2])
    job = validated()
    outcome = done(job)
    selection = outcome.selection
    assert selection and (selection.step, selection.score) == (16, 0.5)
    assert selection.curve == {0: 0.1, 8: 0.2, 16: 0.5, 24: 0.3, 32: 0.5, 40: 0.4, 48: 0.2}
    kept = weights(job)
    assert all(torch.equal(seen[2][name], tensor) for name, tensor in kept.items())
    lines = [json.loads(line) for line in job.steps.read_text().splitlines()]
    assert [line["step"] for line in lines if "validation" in line] == [0, 8, 16, 24, 32, 40, 48]
    cost = outcome.cost
    assert cost and cost.steps == 48
    assert cost.validation_seconds is not None and cost.train_seconds is not None
    assert not outcome.instabilities


def test_an_interrupted_selection_ends_as_an_uninterrupted_one(
    validated: Callable[..., TrainJob], scored: Any
) -> None:
    scores = [0.1, 0.2, 0.5, 0.3, 0.6, 0.4, 0.2]
    scored(scores)
    expected = done(validated("lora", folder="straight"))
    for killed_at, resumes, done_before in ((4, 25, 4), (6, 40, 6), (2, 0, 1)):
        broken = validated("lora", folder=f"broken-{killed_at}")
        scored([*scores[:killed_at], -1.0])
        assert run(broken).reason == "RuntimeError: interrupted"
        if killed_at == 2:
            # The first validation was kept by a checkpoint; without its weights all begins again.
            (broken.work / "best-8.safetensors").unlink()
        scored(scores[done_before:])
        seen: list[Progress] = []
        outcome = process.run(broken, seen.append)
        assert outcome.status == "done", outcome.reason
        assert min(p.step for p in seen if p.phase == "training") == resumes
        assert outcome.artefact == expected.artefact
        assert outcome.selection == expected.selection


def test_a_better_score_after_a_checkpoint_does_not_lose_the_weights_before_it(
    validated: Callable[..., TrainJob], scored: Any
) -> None:
    """Killed between a new best and its checkpoint, the old best is still there to go back to."""
    job = validated("lora")
    scored([0.1, 0.2, 0.3, -1.0])
    run(job)
    names = sorted(path.name for path in job.work.glob("best-*"))
    assert names == ["best-16.safetensors"]
    assert (job.work / "checkpoint-16").is_dir()


def test_collapse_and_explosion_are_recorded_and_end_nothing(
    validated: Callable[..., TrainJob], scored: Any
) -> None:
    scored([0.4, 0.5, 0.3, 0.5, 0.3, 0.2, 0.1])
    outcome = done(validated("full", {"learning_rate": 3.0}))
    kinds = {each.kind: each for each in outcome.instabilities}
    assert kinds["collapse"] == Instability(kind="collapse", step=32, value=0.3)
    assert kinds["explosion"].step >= 5
    assert outcome.selection and outcome.selection.step == 8


def test_a_training_that_ends_in_no_number_says_at_which_step(new_job: NewJob) -> None:
    outcome = run(new_job("loses-its-loss"))
    assert outcome.status == "diverged"
    assert outcome.instabilities == (Instability(kind="nan", step=3),)


def test_validation_generates_as_the_engine_does_and_leaves_the_training_alone(
    validated: Callable[..., TrainJob], tmp_path: Path
) -> None:
    """Scored or not, the weights after the last step are the same, random numbers included."""
    params = {**LORA, "dropout": 0.1}
    plain = validated("lora", params, folder="plain", validation=None, steps=12)
    watched = validated("lora", params, folder="watched", evaluations=1, steps=12)
    assert done(plain).artefact == done(watched).artefact


def test_validation_scores_are_the_mean_of_the_task_s(new_job: NewJob) -> None:
    nano = Path(Registry.load().models["nano"].path)
    job = new_job("full", FULL, task=TASK, validation=HELD_OUT, model=nano)
    validation = Validation.of(job, Registry.load())
    assert validation
    model, _ = trainer.load(job)
    model.train()
    score = validation.score(model)
    assert 0.02 < score < 1
    assert model.training
    # Answered one by one and by hand.
    found = []
    for sample, prompt in zip(validation.split.samples, validation.prompts, strict=True):
        model.eval()
        import torch

        ids = torch.tensor([prompt.tokens])
        new = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=128
        )[0, ids.shape[1] :]
        text = validation.decoder.tokenizer.decode(new, skip_special_tokens=True).strip()
        found.append(validation.split.task.score(sample, [text])["rouge_l"])
    assert score == pytest.approx(sum(found) / len(found))


def test_other_validation_samples_than_planned_are_refused(
    validated: Callable[..., TrainJob],
) -> None:
    other = replace(HELD_OUT, data=DataSpec(source="sample", digest="of others"))
    outcome = run(validated(validation=other))
    assert outcome.status == "failed"
    assert "changed while the command ran" in outcome.reason

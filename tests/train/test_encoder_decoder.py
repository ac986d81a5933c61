"""Training of a T5: losses by the tokens of a whole step, whatever it is cut into."""

from pathlib import Path
from typing import Any

import pytest

from benchbench.checkpoints.parity import Reference, largest_difference
from benchbench.models.logprobs import token_logprobs
from tests.toys.jobs import FULL, LORA, NewJob, done, examples, losses, new_job

__all__ = ["examples", "new_job"]

pytestmark = pytest.mark.usefixtures("one_thread")

ADALORA = {"learning_rate": 0.01, "rank": 2}


@pytest.mark.parametrize(("name", "params"), [("full", FULL), ("lora", LORA), ("adalora", ADALORA)])
def test_a_batch_in_parts_is_the_same_batch(
    name: str, params: dict[str, Any], new_job: NewJob, tiny_t5: Path
) -> None:
    """AdaLoRA adds a penalty to the loss, which is not of tokens and is not scaled by them."""
    whole = new_job(name, params, folder="whole", model=tiny_t5, steps=6)
    parts = new_job(name, params, folder="parts", model=tiny_t5, steps=6, gradient_accumulation=4)
    costs = [done(job).cost for job in (whole, parts)]
    assert [cost and cost.packed for cost in costs] == [False, False]
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-3)


def test_the_loss_is_the_mean_over_the_answers_of_a_step(new_job: NewJob, tiny_t5: Path) -> None:
    import torch

    from benchbench.models.base import BaseModel
    from benchbench.train.examples import plan, read_examples

    job = new_job("lora", LORA, model=tiny_t5, steps=1, gradient_accumulation=2)
    done(job)
    assert job.examples and job.spec.train
    rows = read_examples(job.examples)
    (step,) = plan(rows.lengths, job.spec.train, job.spec.seed)
    model = BaseModel(tiny_t5).load(torch.float32).eval()
    total, count = 0.0, 0
    for index in (i for part in step for i in part):
        example = rows[index]
        labels = torch.tensor([example.completion])
        loss = model(input_ids=torch.tensor([example.prompt]), labels=labels).loss
        total, count = total + loss.item() * labels.numel(), count + labels.numel()
    assert losses(job) == pytest.approx([total / count], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("full", FULL),
        ("lora", LORA),
        ("adapter", {"learning_rate": 0.01, "size": 4}),
        ("bitfit", {"learning_rate": 0.01}),
        ("ia3", {"learning_rate": 0.05}),
        ("prompt-tuning", {"learning_rate": 0.1, "tokens": 3}),
        ("prefix-tuning", {"learning_rate": 0.01, "tokens": 3, "bottleneck": 8}),
    ],
)
def test_the_study_s_methods_learn_and_what_is_kept_is_what_was_trained(
    name: str, params: dict[str, Any], new_job: NewJob, tiny_t5: Path
) -> None:
    import torch

    from benchbench.models.base import BaseModel

    job = new_job(name, params, model=tiny_t5, epochs=4.0)
    outcome = done(job)
    fallen = losses(job)
    assert sum(fallen[-4:]) < sum(fallen[:4])
    assert outcome.cost and outcome.cost.forgetting is not None
    reference = Reference.read(job.folder / "parity.json")
    base = token_logprobs(BaseModel(tiny_t5).load(torch.float32).eval(), reference.prompts)
    assert largest_difference(base, reference.base) < 1e-5
    assert largest_difference(reference.base, reference.trained) > 1e-3

"""What training does to a model and what it leaves, in this process."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchbench.checkpoints.parity import Reference, largest_difference
from benchbench.models.logprobs import token_logprobs
from benchbench.records.store import hash_folder
from benchbench.train import process, resume, trainer
from benchbench.train.examples import read_examples
from benchbench.train.job import Progress
from benchbench.train.resume import WEIGHTS, latest_checkpoint
from tests.toys.jobs import FULL, LORA, NewJob, done, examples, losses, new_job, run, weights

__all__ = ["examples", "new_job"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(("name", "params"), [("full", FULL), ("lora", LORA)])
def test_training_changes_the_weights_and_the_loss_falls(
    name: str, params: dict[str, Any], new_job: NewJob, tiny_model: Path
) -> None:
    job = new_job(name, params, epochs=8.0)
    seen: list[Progress] = []
    outcome = process.run(job, seen.append)
    assert outcome.status == "done", outcome.reason
    fallen = losses(job)
    assert len(fallen) == 64
    assert fallen[-1] < 0.7 * fallen[0]

    cost = outcome.cost
    assert cost is not None and cost.train_seconds is not None and cost.final_loss is not None
    lengths = read_examples(job.examples).lengths if job.examples else []
    assert (cost.steps, cost.train_tokens) == (64, 8 * sum(lengths))
    assert cost.final_loss == pytest.approx(sum(fallen[-6:]) / 6)
    assert cost.step_seconds and cost.train_seconds > 64 * 0.2 * cost.step_seconds
    assert cost.peak_memory_bytes and cost.peak_memory_bytes > 2**26
    trained = sum(tensor.numel() for tensor in weights(job).values())
    assert cost.trainable_parameters == trained
    assert cost.total_parameters == count(tiny_model) + (trained if name == "lora" else 0)

    assert [p.phase for p in seen if not p.step][:3] == ["loading", "preparing", "training"]
    assert [p.step for p in seen if p.phase == "training"] == list(range(65))
    assert seen[-1].phase == "exporting"


def count(model: Path) -> int:
    from safetensors.torch import load_file

    return sum(tensor.numel() for tensor in load_file(model / "model.safetensors").values())


@pytest.mark.parametrize(("name", "params"), [("full", FULL), ("lora", LORA)])
def test_what_is_kept_is_what_was_trained(
    name: str, params: dict[str, Any], new_job: NewJob, tiny_model: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    job = new_job(name, params)
    outcome = done(job)
    reference = Reference.read(job.folder / "parity.json")
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert largest_difference(token_logprobs(base, reference.prompts), reference.base) < 1e-5
    model = (
        PeftModel.from_pretrained(base, job.checkpoint)
        if name == "lora"
        else AutoModelForCausalLM.from_pretrained(job.checkpoint)
    )
    served = token_logprobs(model.eval(), reference.prompts)
    assert largest_difference(served, reference.trained) < 1e-5
    assert largest_difference(served, reference.base) > 0.1

    assert outcome.artefact is not None
    assert outcome.artefact.route == ("lora" if name == "lora" else "weights")
    assert outcome.artefact.sha256 == hash_folder(job.checkpoint)
    assert outcome.artefact.bytes == sum(p.stat().st_size for p in job.checkpoint.iterdir())
    assert {p.suffix for p in job.checkpoint.iterdir()} == {".json", ".safetensors"}
    for path in job.checkpoint.glob("*.json"):
        assert str(tiny_model.parent) not in path.read_text()
    if name == "lora":
        config = json.loads((job.checkpoint / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "org/tiny"
    else:
        assert json.loads((job.checkpoint / "config.json").read_text())["use_cache"] is True


def test_the_same_seed_repeats_bit_by_bit_and_another_does_not(new_job: NewJob) -> None:
    params = {**LORA, "dropout": 0.1}
    outcomes = [
        done(new_job("lora", params, seed=seed, folder=folder, epochs=1.0))
        for seed, folder in ((1, "a"), (1, "b"), (2, "c"))
    ]
    first, again, other = (o.artefact.sha256 for o in outcomes if o.artefact)
    assert first == again != other


def test_a_batch_in_parts_is_the_same_batch(new_job: NewJob) -> None:
    import torch

    whole = new_job("full", FULL, folder="whole")
    parts = new_job("full", FULL, folder="parts", gradient_accumulation=2)
    costs = [done(job).cost for job in (whole, parts)]
    assert costs[0] and costs[1] and costs[0].train_tokens == costs[1].train_tokens
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-4)
    kept = weights(parts)
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(kept[name], tensor, atol=1e-4, rtol=1e-3)


def test_weights_have_the_precision_asked_for_and_a_tied_head_is_not_written(
    new_job: NewJob, tiny_model: Path, untied_model: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    job = new_job("full", FULL, precision="bfloat16", epochs=0.5)
    done(job)
    kept = weights(job)
    assert kept.keys() == load_file(tiny_model / "model.safetensors").keys()
    assert {tensor.dtype for tensor in kept.values()} == {torch.bfloat16}
    reference = Reference.read(job.folder / "parity.json")
    assert largest_difference(reference.base, reference.trained) > 0.01

    job = new_job("full", FULL, model=untied_model, folder="untied", epochs=0.5)
    done(job)
    assert "lm_head.weight" in weights(job)
    assert {tensor.dtype for tensor in weights(job).values()} == {torch.float32}


def test_the_base_model_is_described_untrained(new_job: NewJob, tiny_model: Path) -> None:
    job = new_job("base")
    outcome = done(job)
    assert outcome.cost is not None and outcome.artefact is not None
    assert outcome.cost.total_parameters == count(tiny_model)
    assert outcome.cost.trainable_parameters == outcome.cost.steps == 0
    assert (outcome.artefact.route, outcome.artefact.bytes) == ("base", 0)
    reference = Reference.read(job.folder / "parity.json")
    assert reference.base == reference.trained
    assert not job.checkpoint.exists()


def test_a_method_prepares_chooses_its_optimizer_and_sees_its_gradients(
    new_job: NewJob, tmp_path: Path
) -> None:
    diary = tmp_path / "diary"
    job = new_job("curious", {"diary": str(diary), "learning_rate": 0.1}, epochs=0.4)
    done(job)
    assert diary.read_text().split("\n")[:-1] == [
        "adapt 4 [4, 4]", "step 1 True", "step 2 True", "step 3 True", "step 4 True"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("loses-its-loss", "diverged", "the loss was nan at step 3 of 16"),
        ("loses-its-gradient", "diverged", "the gradient norm was inf at step 1 of 16"),
        ("unfit", "skipped", "a llama has no experts"),
        ("broken", "failed", "ValueError: no luck with ~/secret"),
        ("idle", "failed", "ValueError: method 'idle' leaves no parameter to train"),
        ("astray", "failed", "ValueError: export() of method 'astray' returned 'telepathy'"),
        ("pickler", "failed", "ValueError: method 'pickler' exported weights.bin"),
        ("unheard-of", "failed", "no method named 'unheard-of'"),
    ],
)
def test_every_end_has_its_status_and_reason(
    name: str, status: str, reason: str, new_job: NewJob
) -> None:
    job = new_job(name)
    outcome = run(job)
    assert outcome.status == status
    assert outcome.reason.startswith(reason)
    assert "\n" not in outcome.reason
    assert not job.checkpoint.exists()
    assert outcome.environment["packages"]["torch"]


@pytest.mark.parametrize("kind", ["cpu", "cuda", "python"])
def test_memory_that_ran_out_is_known_by_every_name(kind: str, new_job: NewJob) -> None:
    assert run(new_job("hungry", {"kind": kind})).status == "out_of_memory"


def test_other_frozen_weights_begin_again(new_job: NewJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint beside weights that are computed otherwise would train something else."""
    job = new_job("lora", LORA, epochs=8.0)
    done(job)
    (job.work / resume.FROZEN).write_text("of another machine")
    (job.work / "checkpoint-50").mkdir(exist_ok=True)
    model, _ = trainer.load(job)
    assert resume.same_start(job.work, model) is None
    assert not list(job.work.glob("checkpoint-*"))


@pytest.mark.parametrize("name", ["toy", "stateful"])
def test_only_what_can_go_on_exactly_leaves_checkpoints(name: str, new_job: NewJob) -> None:
    job = new_job(name, epochs=8.0)
    seen: set[str] = set()
    outcome = process.run(job, lambda _: seen.update(p.name for p in job.work.glob("check*")))
    assert outcome.status == "done", outcome.reason
    assert bool(seen) == (name == "toy")


def test_a_checkpoint_cut_short_is_left_for_the_one_before(new_job: NewJob) -> None:
    import shutil

    job = new_job("broken", {"step": 30}, epochs=4.0)
    assert run(job).status == "failed"
    whole = job.work / "checkpoint-25"
    assert latest_checkpoint(job.work) == whole
    cut = job.work / "checkpoint-50"
    for name in (WEIGHTS, "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"):
        shutil.copytree(whole, cut)
        content = (cut / name).read_bytes()
        (cut / name).write_bytes(content[: len(content) // 2])
        assert latest_checkpoint(job.work) == whole
        assert not cut.exists()
    (whole / WEIGHTS).unlink()
    assert latest_checkpoint(job.work) is None

"""The step loop: one method's model, trained with transformers' Trainer.

Trainer brings mixed precision, accumulation, clipping, the schedule and resuming. Ours are the
order of the samples (``examples.plan``), what is recorded (``recorder``), and what a checkpoint
holds: whatever is trained, by name, so that every method resumes alike.
"""

import json
import math
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchbench import hardware
from benchbench.engines import parity
from benchbench.method import Method, Training
from benchbench.prompt import Example
from benchbench.record import Cost
from benchbench.specs import Precision, digest
from benchbench.train.examples import Examples, collate, plan, read_examples
from benchbench.train.job import Progress, TrainJob
from benchbench.train.recorder import Recorder, count_parameters

WEIGHTS = "trained.safetensors"

FROZEN = "frozen"
"""File that says beside which frozen weights the checkpoints were trained."""


def load(job: TrainJob) -> tuple[Any, list[list[int]]]:
    """Return the base model in float32 on the device, and the parity gate's prompts."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(job.model, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(
        job.model, dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    # PEFT writes it into every adapter: the model's name, and not a folder of this machine.
    model.name_or_path = job.spec.model.name
    return model.to(hardware.device()), parity.tokenize(tokenizer)


def logprobs(model: Any, prompts: list[list[int]], precision: Precision) -> list[list[float]]:
    """Return the log-probabilities of the fixed prompts, computed as training computes."""
    import torch

    model.eval()
    with torch.autocast(hardware.device(), torch.bfloat16, enabled=precision == "bfloat16"):
        return parity.token_logprobs(model, prompts)


def fit(
    job: TrainJob, method: Method, model: Any, report: Callable[[Progress], None]
) -> tuple[Any, Cost]:
    """Adapt and train a base model; returns the trained model and what it took."""
    import torch
    from transformers import set_seed

    train, seed = job.spec.train, job.spec.seed
    assert train is not None
    assert job.examples is not None
    if hardware.device() == "cuda":
        torch.cuda.reset_peak_memory_stats()
    examples = read_examples(job.examples)
    steps = plan(examples.lengths, train, seed)
    parts = Parts(examples, [part for step in steps for part in step])
    config, use_cache = model.config, model.config.use_cache
    training = Training(
        steps=len(steps),
        parts=len(steps[0]),
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        batches=partial(parts.batches, model.device),
    )
    set_seed(seed)
    model = method.adapt(model, training)
    if not isinstance(model, torch.nn.Module):
        raise ValueError(
            f"adapt() of method {method.name!r} returned {model!r}; it must return the model to "
            "train"
        )
    recorder = Recorder(job.steps, len(steps), report)
    optimizer = method.optimizer(model, training)
    trainer = _trainer(job, method, model, parts, recorder, optimizer)
    parameters = count_parameters(model)
    if not parameters.trainable_parameters:
        raise ValueError(f"method {method.name!r} leaves no parameter to train")
    checkpoint = _same_start(job, model)
    recorder.keep(int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    cost = recorder.cost(parameters, parts.tokens)
    config.use_cache = use_cache  # Trainer switches it off for good; generation wants it
    return trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False), cost


@dataclass(frozen=True)
class Parts(Sequence[list[Example]]):
    """The batches of all steps, or the parts they are computed in: Trainer's data set."""

    examples: Examples
    indices: Sequence[Sequence[int]]

    @property
    def tokens(self) -> int:
        """Tokens of all parts, without padding."""
        lengths = self.examples.lengths
        return sum(lengths[i] for part in self.indices for i in part)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return [self.examples[i] for i in self.indices[index]]

    def batches(self, device: Any) -> Iterator[dict[str, Any]]:
        """Yield the tensors that training will see."""
        for part in self:
            yield {name: tensor.to(device) for name, tensor in collate(part).items()}


def _trainer(
    job: TrainJob, method: Method, model: Any, parts: Parts, recorder: Recorder, optimizer: Any
) -> Any:
    from transformers import PrinterCallback, TrainingArguments

    train = job.spec.train
    assert train is not None
    arguments = TrainingArguments(
        output_dir=str(job.work),
        num_train_epochs=1,  # the parts are those of all epochs
        per_device_train_batch_size=1,
        gradient_accumulation_steps=len(parts) // recorder.steps,
        train_sampling_strategy="sequential",
        learning_rate=method.learning_rate,
        lr_scheduler_type="linear",
        # At least one step is not warm-up, whose first has a learning rate of 0.
        warmup_steps=min(math.ceil(train.warmup_ratio * recorder.steps), recorder.steps - 1),
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        seed=job.spec.seed,
        bf16=job.spec.precision == "bfloat16",
        use_cpu=hardware.device() == "cpu",
        dataloader_pin_memory=hardware.device() == "cuda",
        logging_steps=1,
        logging_nan_inf_filter=False,  # it replaces what a diverged run must be known by
        save_strategy="steps" if method.resumable else "no",
        save_steps=max(25, recorder.steps // 8),
        save_total_limit=1,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )
    trainer = _trainer_class()(
        model=model,
        args=arguments,
        train_dataset=parts,
        data_collator=lambda rows: collate(rows[0]),
        callbacks=[_callback(method, model, recorder)],
        optimizers=(optimizer, None),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _callback(method: Method, model: Any, recorder: Recorder) -> Any:
    from transformers import TrainerCallback

    class Events(TrainerCallback):
        """Passes Trainer's events on."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            recorder.begin_step()

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # Here the gradients are still there; some methods rank their parameters by them.
            method.after_step(model, state.global_step + 1)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            recorder.end_step()
            if state.global_step == state.max_steps:
                control.should_save = False  # it is exported next

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if "loss" in (logs := more["logs"]):
                recorder.write(
                    state.global_step, logs["loss"], logs["grad_norm"], logs["learning_rate"]
                )

    return Events()


def _trainer_class() -> Any:
    from safetensors.torch import load_file, save_file
    from transformers import Trainer

    class NamedWeightsTrainer(Trainer):
        """Keeps what is trained by name, instead of in one format for each kind of model.

        Trainer reloads PEFT models through their adapter format, which loses parts of some
        methods (P-tuning's encoder) and fails for others (AdaLoRA, prefix projections).
        """

        def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
            folder = Path(output_dir or str(self.args.output_dir))
            folder.mkdir(parents=True, exist_ok=True)
            kept = {name: tensor.detach().contiguous() for name, tensor in _state(self.model)}
            save_file(kept, folder / WEIGHTS)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            kept = load_file(Path(resume_from_checkpoint) / WEIGHTS)
            for name, tensor in _state(self.model if model is None else model):
                tensor.data.copy_(kept[name])

    return NamedWeightsTrainer


def _state(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield every tensor that training may change, by name, tied ones once."""
    yield from ((name, p) for name, p in model.named_parameters() if p.requires_grad)
    persistent = model.state_dict().keys()
    yield from ((name, b) for name, b in model.named_buffers() if name in persistent)


def _same_start(job: TrainJob, model: Any) -> Path | None:
    """Return the checkpoint to go on from, if the frozen weights are those it was trained beside.

    Some methods compute them from the base model (PiSSA, LoRA-GA), and another machine or thread
    count may do that otherwise.
    """
    import torch

    frozen = {
        # In pieces: a sum of bytes takes eight times their memory, which would count as training's.
        name: sum(
            int(piece.sum(dtype=torch.int64))
            for piece in p.detach().reshape(-1).view(torch.uint8).split(1 << 22)
        )
        for name, p in model.named_parameters()
        if not p.requires_grad
    }
    now, path = digest(frozen), job.work / FROZEN
    if not path.exists() or path.read_text() != now:
        for stale in job.work.glob("checkpoint-*"):
            shutil.rmtree(stale)
        job.work.mkdir(parents=True, exist_ok=True)
        path.write_text(now)
    return latest_checkpoint(job.work)


def latest_checkpoint(work: Path) -> Path | None:
    """Return the last checkpoint that was written whole; delete those that were not."""
    found = sorted(work.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    while found:
        if _is_whole(found[-1]):
            return found[-1]
        shutil.rmtree(found.pop())
    return None


def _is_whole(checkpoint: Path) -> bool:
    """Tell whether a checkpoint can be read: a killed process leaves files cut short."""
    from safetensors import SafetensorError, safe_open

    try:
        # Trainer writes it last.
        json.loads((checkpoint / "trainer_state.json").read_bytes())
        with safe_open(checkpoint / WEIGHTS, framework="pt"):
            pass
    except (OSError, ValueError, SafetensorError):
        return False
    pickles = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
    return all(zipfile.is_zipfile(checkpoint / name) for name in pickles)

"""The step loop: one method's model, trained with transformers' Trainer.

Trainer brings mixed precision, accumulation, clipping, the schedule, trackers and resuming. Ours
are the order of the samples (``examples.plan``), how they become tensors (``batches``), what is
recorded (``recorder``), what a checkpoint holds (``resume``), and which weights are kept
(``selection``).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchbench import machine
from benchbench.checkpoints import parity
from benchbench.contract.method import Method, Training
from benchbench.errors import PluginError
from benchbench.models.logprobs import token_logprobs
from benchbench.records.record import Cost, Instability, Selection
from benchbench.specs import Precision
from benchbench.train import batches, group, resume, trackers
from benchbench.train.batches import Parts
from benchbench.train.examples import plan, read_examples
from benchbench.train.job import Progress, TrainJob
from benchbench.train.recorder import Recorder, count_parameters
from benchbench.train.schedule import schedule, training
from benchbench.train.selection import Selector, Validation
from benchbench.train.transformers_trainer import trainer_class

WHOLE = "whole.safetensors"
"""File of the last weights, where devices hold them in parts."""


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """A model to train, what its method was told, and what its steps will see."""

    model: Any
    training: Training
    parts: Parts


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained model, and how its training went."""

    model: Any
    cost: Cost
    selection: Selection | None
    instabilities: tuple[Instability, ...]


def load(job: TrainJob) -> tuple[Any, list[list[int]]]:
    """Return the base model in float32 on the device, and the parity gate's prompts."""
    import torch

    model = job.base.load(torch.float32)
    # PEFT writes it into every adapter: the model's name, and not a folder of this machine.
    model.name_or_path = job.spec.model.name
    return model.to(machine.device()), parity.tokenize(job.base.tokenizer)


def logprobs(model: Any, prompts: list[list[int]], precision: Precision) -> list[list[float]]:
    """Return the log-probabilities of the fixed prompts, computed as training computes."""
    model.eval()
    with machine.autocast(precision):
        return token_logprobs(model, prompts)


def fit(
    job: TrainJob,
    method: Method,
    model: Any,
    report: Callable[[Progress], None],
    validation: Validation | None = None,
) -> Fitted:
    """Adapt and train a base model."""
    assert job.spec.train is not None
    config, use_cache = model.config, model.config.use_cache
    parts = read_parts(job, model)
    recorder = Recorder(job.steps, parts.tokens, report)
    selector = None
    if validation:
        selector = Selector(validation, recorder, job.work, job.spec.train.evaluations)
        selector.begin(model)
    model, parameters = _train(job, method, adapt(job, method, model, parts), recorder, selector)
    config.use_cache = use_cache  # Trainer switches it off for good; generation wants it
    return Fitted(
        model=_kept(job, model, selector),
        cost=recorder.cost(parameters),
        selection=selector.choose() if selector else None,
        instabilities=recorder.instabilities(),
    )


def read_parts(job: TrainJob, model: Any) -> Parts:
    """Return what the steps of a training see, as a model of its kind takes it."""
    assert job.spec.train is not None
    assert job.examples is not None
    examples = read_examples(job.examples)
    steps = plan(examples.lengths, job.spec.train, job.spec.seed, group.size())
    return Parts(
        examples, steps, batches.paired if model.config.is_encoder_decoder else batches.padded
    )


def adapt(job: TrainJob, method: Method, model: Any, parts: Parts) -> Adapted:
    """Return the model to train, with the dropout that its profile wants.

    Samples share rows only where that is asked for, declared, and shown to be exact.
    """
    from torch.nn import Dropout, Module
    from transformers import set_seed

    train = job.spec.train
    assert train is not None
    told = training(
        train,
        method.role,
        steps=len(parts.steps),
        parts=len(parts.steps[0]),
        batches=partial(parts.batches, model.device),
    )
    set_seed(job.spec.seed)
    dropout = schedule(train, method.role).dropout
    if dropout is not None:
        for layer in model.modules():
            if isinstance(layer, Dropout):
                layer.p = dropout
    adapted = method.adapt(model, told)
    if not isinstance(adapted, Module):
        raise PluginError(
            f"adapt() must return the model to train, and that of method {method.name!r} returned "
            f"{adapted!r}; end it with `return model`"
        )
    if train.packing and method.packable and _packs(adapted, parts):
        parts = replace(parts, collate=batches.packed)
    return Adapted(model=adapted, training=told, parts=parts)


def _packs(model: Any, parts: Parts) -> bool:
    """Whether a model computes of samples in one row what it computes of them apart."""
    if model.config.is_encoder_decoder:
        return False
    first = [parts.examples[i] for i in range(min(8, len(parts.examples)))]
    few = sorted(first, key=lambda example: len(example.tokens))[:3]
    try:
        found = batches.difference(model, batches.in_one_row(few), few)
    except Exception:  # an architecture says in its own way that it cannot
        return False
    return found <= parity.TOLERANCE["float32"]


def _train(
    job: TrainJob, method: Method, adapted: Adapted, recorder: Recorder, selector: Selector | None
) -> tuple[Any, Cost]:
    """Train; return the model, or None where devices hold it in parts, and its parameters."""
    model = adapted.model
    if group.is_wanted(model, job.sharded):
        group.shard(model)
    trainer = _trainer(job, method, adapted, recorder, selector)
    parameters = count_parameters(model, packed=adapted.parts.collate is batches.packed)
    if not parameters.trainable_parameters:
        raise ValueError(f"method {method.name!r} leaves no parameter to train")
    checkpoint = _go_on_from(job.work, model, selector)
    recorder.keep(resume.step_of(checkpoint) if checkpoint else 0)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if not group.is_sharded(model):
        return trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False), parameters
    if not selector:
        resume.write_state(model, job.work / WHOLE)
    return None, parameters  # a whole model has no room beside its parts


def _kept(job: TrainJob, trained: Any, selector: Selector | None) -> Any:
    """Return the trained model with the weights that are kept; read again where it is None."""
    group.gather(None)  # what one process has written, all may read
    whole = load(job)[0] if trained is None else trained
    if trained is None or selector:
        resume.read_state(whole, selector.best_weights if selector else job.work / WHOLE)
    return whole


def _go_on_from(work: Path, model: Any, selector: Selector | None) -> Path | None:
    """Return the checkpoint to go on from; without the best weights until then there is none."""
    found = resume.same_start(work, model)
    if found and selector and not selector.holds_best(resume.step_of(found)):
        resume.clear(work)
        return None
    return found


def _trainer(
    job: TrainJob, method: Method, adapted: Adapted, recorder: Recorder, selector: Selector | None
) -> Any:
    from transformers import PrinterCallback

    assert job.spec.train is not None
    model, parts = adapted.model, adapted.parts
    trainer = trainer_class(schedule(job.spec.train, method.role), selector)(
        model=model,
        args=_arguments(job, method, parts),
        train_dataset=parts,
        data_collator=lambda rows: parts.collate(rows[0]),
        callbacks=[
            *trackers.callbacks(() if group.rank() else job.trackers, job.work),
            _callback(method, model, recorder, selector),
        ],
        optimizers=(method.optimizer(model, adapted.training), None),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.model_accepts_loss_kwargs = True  # or compute_loss does what it takes
    # Trainer's word for a model that is in parts already: it is neither wrapped nor cut again.
    trainer.is_distributed_loading_by_transformers = group.is_sharded(model)
    return trainer


def _arguments(job: TrainJob, method: Method, parts: Parts) -> Any:
    from transformers import TrainingArguments

    train = job.spec.train
    assert train is not None
    curve = schedule(train, method.role)
    return TrainingArguments(
        output_dir=str(job.work),
        num_train_epochs=1,  # the parts are those of all epochs
        per_device_train_batch_size=1,
        gradient_accumulation_steps=len(parts.steps[0]) // group.size(),
        gradient_checkpointing=train.gradient_checkpointing,
        train_sampling_strategy="sequential",
        learning_rate=method.learning_rate,
        weight_decay=curve.weight_decay,
        adam_epsilon=curve.epsilon,
        max_grad_norm=train.max_grad_norm,
        seed=job.spec.seed,
        bf16=job.spec.precision == "bfloat16",
        use_cpu=machine.device() == "cpu",
        dataloader_pin_memory=machine.device() == "cuda",
        logging_steps=1,
        logging_nan_inf_filter=False,  # it replaces what a diverged run must be known by
        save_strategy="steps" if method.resumable else "no",
        save_steps=max(25, len(parts.steps) // 8),
        save_total_limit=1,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",  # trackers come as callbacks, so that none can end the training
        run_name=f"{method.name} {job.spec.id}",
    )


def _callback(method: Method, model: Any, recorder: Recorder, selector: Selector | None) -> Any:
    from transformers import TrainerCallback

    class Events(TrainerCallback):
        """Passes Trainer's events on."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            recorder.meter.start()

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # Here the gradients are still there; some methods rank their parameters by them.
            method.after_step(model, state.global_step + 1)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            recorder.meter.stop()
            if selector and state.global_step in selector.steps:
                control.should_evaluate = True
                control.should_save = method.resumable
            if state.global_step == state.max_steps:
                control.should_save = False  # it is exported next

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if "loss" in (logs := more["logs"]):
                recorder.write(
                    state.global_step, logs["loss"], logs["grad_norm"], logs["learning_rate"]
                )

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if selector:
                selector.tidy()

    return Events()

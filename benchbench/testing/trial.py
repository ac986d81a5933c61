"""The trainings of one method that its checks look at, each made when the first check asks."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchbench import machine
from benchbench.checkpoints import parity
from benchbench.contract.method import Method
from benchbench.records.record import RunRecord, hash_files
from benchbench.registry.registry import Registry
from benchbench.specs import DataSpec, MethodSpec, ModelSpec, RunSpec, TaskSpec, TrainSpec
from benchbench.testing import material
from benchbench.testing.served import Served, serve
from benchbench.train import process, trainer
from benchbench.train.examples import write_examples
from benchbench.train.job import Phase, Progress, TrainJob
from benchbench.train.recorder import count_parameters
from benchbench.train.resume import FROZEN
from benchbench.train.trainer import Adapted

STEPS = 32
"""Of each training: a few more than the trainer makes before its first checkpoint."""

FACTOR = 10.0
"""Default learning rates are multiplied by this: the model is as small as ``nano``."""

SEED = 42


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training as ``benchbench run`` makes it."""

    job: TrainJob
    outcome: RunRecord
    phase: Phase
    """The last one that was reported: where it ended, if it failed."""
    losses: list[float]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model in memory; ``weights`` are copies of all its tensors."""

    model: Any
    weights: Mapping[str, Any]
    resumed: int
    """Steps that were done before: 0 without a checkpoint."""


@dataclass
class Trial:
    """One method on the exam's model, in a folder of its own."""

    registry: Registry
    asked: MethodSpec
    folder: Path
    plugins: tuple[str, ...] = ()
    no_plugins: tuple[str, ...] = ()
    write_base: Callable[[Path], None] = material.write_model
    """Writes the model that the method is tried on."""
    answered: dict[str, Served] = field(default_factory=dict)
    """What each engine served, by the engine's name."""

    def __post_init__(self) -> None:
        self.base = self.folder / "base"
        self.write_base(self.base)
        write_examples(self.folder / "examples.safetensors", material.examples())
        self.digest = self.hash_base()
        self.tolerance = parity.TOLERANCE["float32"]

    def on_encoder_decoder(self) -> "Trial":
        """Return the trial of the same method on a small T5."""
        folder, write = self.folder / "encoder-decoder", material.write_encoder_decoder
        return replace(self, folder=folder, write_base=write, answered={})

    @cached_property
    def spec(self) -> MethodSpec:
        """The method with every parameter filled in."""
        return self.registry.resolve_method(self.asked, FACTOR)

    def method(self) -> Method:
        """Build the method; each training has its own."""
        return self.registry.method(self.spec)

    def hash_base(self) -> str:
        return hash_files(self.base, (p for p in self.base.rglob("*") if p.is_file()))

    def job(self, name: str) -> TrainJob:
        """Return a job whose every step sees the same batch: all samples."""
        train = TrainSpec(
            task=TaskSpec(name=material.NAME, protocol="plain"),
            data=DataSpec(source="sample", digest="0"),
            epochs=STEPS,
            batch_size=len(material.examples()),
        )
        model = ModelSpec(name=material.NAME, revision=f"sha256:{self.digest}", tokenizer="0")
        spec = RunSpec(model=model, method=self.spec, train=train, precision="float32", seed=SEED)
        return TrainJob(
            spec=spec,
            role=self.registry.methods[self.spec.name].role,
            origin=self.registry.origins["method", self.spec.name],
            model=self.base,
            examples=self.folder / "examples.safetensors",
            folder=self.folder / name,
            no_plugins=self.no_plugins,
            plugins=self.plugins,
        )

    @cached_property
    def loaded(self) -> tuple[Any, list[list[int]], list[list[float]]]:
        """Return the base model, the parity gate's prompts, and their log-probabilities."""
        model, prompts = trainer.load(self.job("adapted"))
        return model, prompts, trainer.logprobs(model, prompts, "float32")

    @cached_property
    def adapted(self) -> Adapted:
        """Adapt a base model, as the trainer does before its first step."""
        job, model = self.job("adapted"), self.loaded[0]
        return trainer.adapt(job, self.method(), model, trainer.read_parts(job, model))

    @cached_property
    def trainable(self) -> int:
        """Count the parameters to train, after the optimizer was built, as the trainer does."""
        self.method().optimizer(self.adapted.model, self.adapted.training)
        return count_parameters(self.adapted.model).trainable_parameters

    @cached_property
    def run(self) -> Run:
        """Train, export and keep the artefact, as ``benchbench run`` does."""
        job = self.job("run")
        phases: list[Phase] = ["loading"]
        outcome = process.run(job, lambda progress: phases.append(progress.phase))
        lines = job.steps.read_text().splitlines() if job.steps.exists() else []
        losses = [json.loads(line)["loss"] for line in lines]
        return Run(job=job, outcome=outcome, phase=phases[-1], losses=losses)

    @property
    def outcome(self) -> RunRecord | None:
        """What came of ``run``, if some check asked for it."""
        return self.run.outcome if "run" in self.__dict__ else None

    @cached_property
    def trained(self) -> Trained:
        """Train and keep the model; its first checkpoint is copied for ``resumed``."""
        job, later = self.job("trained"), self.job("resumed")

        def copy(progress: Progress) -> None:
            # A step is reported before its checkpoint is written, so it is there at the next.
            for checkpoint in job.work.glob("checkpoint-*"):
                if not later.work.exists() and f"checkpoint-{progress.step}" != checkpoint.name:
                    later.work.mkdir(parents=True)
                    shutil.copy(job.work / FROZEN, later.work)
                    shutil.copytree(checkpoint, later.work / checkpoint.name)
                    shutil.copy(job.steps, later.steps)

        return self._fit(job, copy)

    @cached_property
    def repeated(self) -> Trained:
        """Train once more with the same seed, after others have drawn random numbers."""
        import random

        import torch

        random.seed(1)
        torch.manual_seed(1)
        return self._fit(self.job("repeated"))

    @cached_property
    def resumed(self) -> Trained:
        """Go on from the checkpoint of ``trained``."""
        assert self.trained
        return self._fit(self.job("resumed"))

    def _fit(self, job: TrainJob, report: Callable[[Progress], None] = lambda _: None) -> Trained:
        seen: list[int] = []

        def see(progress: Progress) -> None:
            seen.append(progress.step)
            report(progress)

        job.work.mkdir(parents=True, exist_ok=True)
        with repeatable():
            model = trainer.fit(job, self.method(), trainer.load(job)[0], see).model
        weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        return Trained(model=model.eval(), weights=weights, resumed=seen[0])

    def served(self, engine: str) -> Served:
        """Serve the artefact of ``run`` by an engine; what it answered is kept."""
        if engine not in self.answered:
            self.answered[engine] = serve(engine, self.run.job, self.run.outcome)
        return self.answered[engine]


@contextmanager
def repeatable() -> Iterator[None]:
    """Have torch compute on an accelerator in one order; on processors one thread does anyhow."""
    import torch

    if machine.device() == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)

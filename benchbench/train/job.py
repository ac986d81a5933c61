"""What training is told and what it answers, and how both cross to another process: as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from benchbench import files, machine
from benchbench.models.base import BaseModel
from benchbench.records.record import PluginOrigin, RunRecord, Status, now
from benchbench.specs import Role, RunSpec, adapter_of

Phase = Literal["loading", "preparing", "training", "validation", "exporting"]
Value = TypeVar("Value")

MEETING = "meeting"
"""File by which the processes of a training find one another."""


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """One run to train, and where its files lie."""

    spec: RunSpec
    role: Role
    """Of the method."""
    origin: PluginOrigin
    """Where the method came from: what was begun with other code is not continued."""
    model: Path
    """Folder of the base model."""
    examples: Path | None = None
    """File written by ``write_examples``; None where nothing is trained."""
    folder: Path
    """The run's folder; a killed training continues in it."""
    no_plugins: tuple[str, ...] = ()
    """Plugins to leave out."""
    plugins: tuple[str, ...] = ()
    """Modules, or absolute paths of files, to load beside the installed plugins."""
    data_root: Path | None = None
    """Where validation samples are read from."""
    devices: int = 1
    """Processes that share every step, each on a device of its own."""
    sharded: bool = False
    """Whether they share the weights too, and not only where one device is too small for them."""
    trackers: tuple[str, ...] = ()
    """What transformers' Trainer reports to beside ``train.jsonl``, such as ``tensorboard``."""

    @cached_property
    def base(self) -> BaseModel:
        """The base model; what is read of it is read once in a process."""
        return BaseModel(self.model)

    @property
    def work(self) -> Path:
        """Folder of what only an unfinished training needs."""
        return self.folder / "work"

    @property
    def checkpoint(self) -> Path:
        """Folder of what is served."""
        return self.folder / "checkpoint"

    @property
    def reference(self) -> Path:
        """What the served checkpoint must agree with."""
        return self.folder / "parity.json"

    @property
    def steps(self) -> Path:
        """One JSON line a step, and one a validation: its score, seconds, memory."""
        return self.folder / "train.jsonl"

    def publishable(self, text: str) -> str:
        """Return a reason without this machine's paths, at most 500 characters: it is published."""
        places = ((self.folder, "RUN"), (self.model, self.spec.model.name), (Path.home(), "~"))
        for path, name in places:
            text = text.replace(str(path.absolute()), name)
        return text if len(text) <= 500 else f"{text[:499]}…"

    def record(
        self,
        status: Status,
        reason: str = "",
        environment: Mapping[str, Any] | None = None,
        **found: Any,
    ) -> RunRecord:
        """Return how this run ended; ``found`` holds further fields of the record."""
        return RunRecord(
            spec=self.spec,
            role=self.role,
            origin=self.origin,
            status=status,
            reason=reason,
            environment=machine.environment() if environment is None else environment,
            created=now(),
            **found,
        )

    @property
    def log(self) -> Path:
        """What the process and its libraries wrote to stderr."""
        return self.folder / "train.log"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a training is."""

    phase: Phase
    step: int = 0
    steps: int = 0
    loss: float | None = None
    score: float | None = None
    """On the validation samples."""


def write(path: Path, value: object) -> None:
    """Write a dataclass as JSON, whole or not at all."""
    files.write(path, adapter_of(type(value)).dump_json(value, indent=1))


def read(path: Path, kind: type[Value]) -> Value | None:
    """Read a dataclass back; None where there is none or it cannot be read."""
    from pydantic import ValidationError

    try:
        found: Value = adapter_of(kind).validate_json(path.read_bytes())
        return found
    except (OSError, ValidationError):
        return None

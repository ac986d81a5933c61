"""What happened: JSON records that are written once and never edited.

Schema history (raise SCHEMA when a field changes its meaning or goes away):
1   first.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchbench.method import Role
from benchbench.specs import DataSpec, Precision, RunSpec, TaskSpec, digest

SCHEMA = 1

Status = Literal["done", "diverged", "out_of_memory", "skipped", "failed"]


@dataclass(frozen=True, kw_only=True)
class PluginOrigin:
    """Where a method or task came from."""

    plugin: str
    distribution: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a training run took. Unknown is None, never a guess."""

    total_parameters: int
    """Parameters of the adapted model, counted after the optimizer was built."""
    trainable_parameters: int
    steps: int = 0
    train_tokens: int = 0
    """Tokens that went through the model in training, padding left out."""
    train_seconds: float | None = None
    """Step loop only: no imports, no data preparation, no saving."""
    step_seconds: float | None = None
    """Median over the steps."""
    peak_memory_bytes: int | None = None
    peak_memory_kind: Literal["cuda_allocated", "rss"] = "rss"
    final_loss: float | None = None
    """Mean over the last tenth of the steps."""


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """What training left and evaluation serves, by content."""

    route: str
    sha256: str
    """Over names and contents of the served files."""
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An artefact at its place, ready to be served."""

    run_id: str
    route: str
    sha256: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One training run, however it ended."""

    spec: RunSpec
    status: Status
    reason: str = ""
    """Why the status is not ``done``."""
    role: Role
    """Of the method: tables put the base model and the reference apart."""
    origin: PluginOrigin
    cost: Cost | None = None
    artefact: Artefact | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    created: str
    """UTC, ISO 8601."""
    schema: int = SCHEMA

    @property
    def run_id(self) -> str:
        return self.spec.id

    @property
    def label(self) -> str:
        return f"{self.spec.method.name} (seed {self.spec.seed})"


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Does the engine serve what was trained? Natural-log probabilities of fixed prompts."""

    tokens: int
    """Token positions compared."""
    max_difference: float | None
    """Largest |served - trained|; None where what is served is not a number."""
    effect: float | None
    """Largest |served - base|; for the base model itself the same as max_difference."""
    tolerance: float
    passed: bool


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """What served a result."""

    name: str
    version: str
    dtype: Precision
    device: str
    """``cpu`` or ``cuda``."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One metric with its uncertainty, as a proportion in [0, 1]."""

    metric: str
    mean: Literal["micro", "macro"]
    """Over samples, or over groups of the task's cluster kind."""
    value: float
    low: float | None
    high: float | None
    """95 % interval (percentile bootstrap over clusters); None where one cluster gives none."""
    n: int
    """Samples (micro) or groups (macro)."""


@dataclass(frozen=True, kw_only=True)
class GroupScore:
    """Means of one group; ``n`` samples, missing ones counted as 0."""

    n: int
    means: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class ResultSpec:
    """Everything a result depends on beside its checkpoint; two that may differ are kept apart."""

    task: TaskSpec
    data: DataSpec
    engine: EngineSpec
    checkpoint: str
    """The artefact's SHA-256."""

    @property
    def key(self) -> str:
        """Name of the result's folder within its run."""
        return f"{self.task.label}-v{self.task.version}-{digest(self, 8)}"


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What one checkpoint scored on one task."""

    run: RunSpec
    spec: ResultSpec
    origin: PluginOrigin
    metric: str
    """The primary metric."""
    cluster: str
    """The kind of group that intervals are drawn over; ``sample`` where each stands alone."""
    scores: tuple[Score, ...]
    groups: Mapping[str, Mapping[str, GroupScore]] = field(default_factory=dict)
    """Kind of group -> name -> means."""
    n: int
    n_missing: int
    """Samples without a completion; they score 0."""
    n_truncated: int
    """Prompts that were cut to the token limit."""
    route: str = ""
    """How the checkpoint was served; empty in records that are older than this field."""
    parity: Parity | None
    """None: not checked, so not publishable."""
    samples_sha256: str
    """Of the samples.jsonl beside this record."""
    seconds: float
    """Wall time of the generation this result took part in, shared with its neighbours."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    created: str
    schema: int = SCHEMA

    @property
    def run_id(self) -> str:
        return self.run.id

    @property
    def clusters(self) -> Mapping[str, GroupScore]:
        """Means of the groups whose errors go together."""
        return self.groups[self.cluster]

    @property
    def primary(self) -> Score:
        return self.score(self.metric)

    def score(self, metric: str, mean: Literal["micro", "macro"] = "micro") -> Score:
        return next(s for s in self.scores if s.metric == metric and s.mean == mean)

    @property
    def publishable(self) -> bool:
        return self.parity is not None and self.parity.passed and not self.n_missing


def hash_files(folder: Path, files: Iterable[Path]) -> str:
    """Return the SHA-256 over names within ``folder`` and contents of files, in order of name."""
    whole = hashlib.sha256()
    for path in sorted(files):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()

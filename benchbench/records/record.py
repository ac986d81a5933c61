"""What happened: JSON records that are written once and never edited.

Schema history (raise SCHEMA when a field changes its meaning or goes away):
1   first.
2   TrainSpec and TaskSpec say more of what a run depends on, so that older ids are other runs'.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from benchbench.specs import DataSpec, Precision, Role, RunSpec, TaskSpec, digest

SCHEMA = 2

REFERENCE = "reference"
"""The answers of the reference method, of the same model and seed if there are some."""
DATA_SET = "data-set"
"""Answers that come with the data set."""

WIN_RATE = "win_rate"
"""Primary metric of a judged result."""
LENGTH_ADJUSTED = "length_adjusted_win_rate"
"""Metric of a judged result: what would be left of the win rate at equal lengths."""
STEADY = "same_in_both_orders"
"""Metric of a judged result: the share of comparisons in which the judge says the same in both
orders; one that goes by the place, or by chance, does so in few."""
NO_VERDICT = "no_verdict"
"""Metric of a judged result: the share of questions to which the judge named neither answer."""
MOST_WITHOUT_VERDICT = 0.01
"""Of them, for a result to be publishable: a share s moves a win rate by at most s / 2."""

JUDGED = ("judge", "opponent")
"""What only a judged result depends on."""

Status = Literal["done", "diverged", "out_of_memory", "skipped", "failed"]
MemoryKind = Literal["cuda_allocated", "rss"]


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
    trained_bytes: int | None = None
    """Of the trained parameters in memory."""
    saved_bytes: int | None = None
    """Of everything that training may change, as an interrupted one keeps it, its optimizer's
    state left out."""
    packed: bool | None = None
    """Whether samples shared rows; None where nothing was trained."""
    processes: int = 1
    """That trained together, one a device; times are wall times and energy is of all."""
    sharded: bool | None = None
    """Whether each held a part of the weights only (FSDP2); None where nothing was trained."""
    steps: int = 0
    train_tokens: int = 0
    """Tokens that went through the model in training; padding is left out unless it is learned."""
    train_seconds: float | None = None
    """Step loop only: no imports, no data preparation, no saving."""
    step_seconds: float | None = None
    """Median over the steps, the first few left out."""
    tokens_per_second: float | None = None
    """Train tokens, the first few steps left out."""
    peak_memory_bytes: int | None = None
    """In the steps alone, of the process that held most: neither reading the model nor validation
    nor checkpoints nor export."""
    peak_memory_kind: MemoryKind = "rss"
    validation_seconds: float | None = None
    validation_memory_bytes: int | None = None
    """At most while validation samples were answered."""
    energy_joules: float | None = None
    """Of all cards in the step loop, by NVML's counters."""
    final_loss: float | None = None
    """Mean over the last tenth of the steps."""
    forgetting: float | None = None
    """Rise of the loss on a fixed text that is none of the tasks', in nats a token."""


@dataclass(frozen=True, kw_only=True)
class Instability:
    """Something that went wrong in a training, and when."""

    kind: Literal["nan", "explosion", "collapse"]
    """Loss or gradient not a number, which ends a training; loss above twice that of the untrained
    model; validation below the untrained model, from a step on until the end."""
    step: int
    value: float | None = None
    """Of the loss or the score; None where it is not a number."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of a training's checkpoints was kept, and what that rests on."""

    step: int
    score: float
    """On the validation samples, in [0, 1]."""
    curve: Mapping[int, float]
    """Step -> score; step 0 is the untrained model."""


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
    selection: Selection | None = None
    """None: the weights after the last step were kept."""
    instabilities: tuple[Instability, ...] = ()
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
class JudgeSpec:
    """Who judged, and how; judgements of judges that differ never stand in one table."""

    model: str
    """Name it is asked for by, or the base model's."""
    revision: str = "unknown"
    """What pins it, as far as anybody said; an endpoint may change its model unnoticed."""
    served_by: str
    """``endpoint``, or the engine with its version and precision."""
    top_logprobs: int | None = None
    """Likeliest tokens an endpoint is asked for; None where every label's probability is known."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of each request, such as ``chat_template_kwargs``."""
    wording: str
    """SHA-256 of what it is asked."""
    both_orders: bool = True
    version: int = 1
    """Raise it whenever the same answers would be read differently."""


@dataclass(frozen=True, kw_only=True)
class ResultSpec:
    """Everything a result depends on beside its checkpoint; two that may differ are kept apart."""

    task: TaskSpec
    data: DataSpec
    engine: EngineSpec
    checkpoint: str
    """The artefact's SHA-256."""
    judge: JudgeSpec | None = None
    """None: the outputs of a judged task, which nobody judged yet, or a task without a judge."""
    opponent: str = ""
    """Whose answers a judge compared with: ``DATA_SET``, or ``REFERENCE:``, a digest of the method,
    and after another colon the SHA-256 of the artefact that gave them."""

    @property
    def key(self) -> str:
        """Name of the result's folder within its run."""
        plain = {k: v for k, v in asdict(self).items() if k not in JUDGED or self.judge}
        name = self.task.label.replace(":", ".")
        return f"{name}-v{self.task.version}-{digest(plain, 8)}"


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What one checkpoint scored on one task."""

    run: RunSpec
    spec: ResultSpec
    origin: PluginOrigin
    metric: str
    """The primary metric."""
    mean: Literal["micro", "macro"] = "micro"
    """Which of its means is reported."""
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
    output_tokens: float | None = None
    """Mean length of the completions; None in a task that generates nothing."""
    unique_tokens: float | None = None
    """Mean number of different tokens in a completion (arXiv 2306.04751, section 5)."""
    samples_sha256: str
    """Of the samples.jsonl beside this record."""
    seconds: float
    """Wall time of the generation this result took part in, shared with its neighbours."""
    peak_memory_bytes: int | None = None
    """The most since the engine was opened, its weights and caches included, shared with its
    neighbours; where all answers were stored already, that of loading alone. None where the system
    does not tell, and in records older than this field."""
    peak_memory_kind: MemoryKind | None = None
    """On a card what torch allocated there, else resident memory of the engine's process."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    created: str
    schema: int = SCHEMA

    @property
    def run_id(self) -> str:
        return self.run.id

    @property
    def is_scored(self) -> bool:
        """Whether there are scores; the outputs of a judged task have none before a judge."""
        return bool(self.scores)

    @property
    def clusters(self) -> Mapping[str, GroupScore]:
        """Means of the groups whose errors go together."""
        return self.groups[self.cluster]

    @property
    def primary(self) -> Score:
        return self.score(self.metric, self.mean)

    def score(self, metric: str, mean: Literal["micro", "macro"] = "micro") -> Score:
        return next(s for s in self.scores if s.metric == metric and s.mean == mean)

    @property
    def publishable(self) -> bool:
        without = [score.value for score in self.scores if score.metric == NO_VERDICT]
        proven = self.parity is not None and self.parity.passed and not self.n_missing
        return proven and max(without, default=0.0) <= MOST_WITHOUT_VERDICT


def hash_files(folder: Path, files: Iterable[Path]) -> str:
    """Return the SHA-256 over names within ``folder`` and contents of files, in order of name."""
    whole = hashlib.sha256()
    for path in sorted(files):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def now() -> str:
    """Return the time as records write it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

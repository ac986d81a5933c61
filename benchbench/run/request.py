"""What a run command asks for, and what it found and did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchbench.judge.opening import JudgeRequest
from benchbench.judge.results import Unjudged
from benchbench.plan.plan import Grid, Plan, PlannedRun
from benchbench.records.record import EngineSpec, RunRecord, TaskResult
from benchbench.records.store import Store
from benchbench.specs import canonical


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """Everything a ``run`` command says."""

    grid: Grid
    store: Store
    engine: str = "auto"
    data_root: Path | None = None
    plugins: tuple[str, ...] = ()
    """Modules, or absolute paths of files, that trainings load beside the installed plugins."""
    no_plugins: tuple[str, ...] = ()
    devices: int = 1
    """Processes that share every step of a training, each on a device of its own."""
    sharded: bool = False
    """Whether they share the weights too, and not only where one device is too small for them."""
    trackers: tuple[str, ...] = ()
    """What trainings report to beside ``train.jsonl``, such as ``tensorboard``."""
    retry_failed: bool = False
    judge: JudgeRequest | None = None
    """None: outputs of judged tasks wait for one."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a command found and did; ``ok`` tells whether nothing failed."""

    plan: Plan
    engine: EngineSpec
    runs: tuple[RunRecord, ...]
    results: tuple[TaskResult, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    """Run id -> why its checkpoint is not served."""
    unjudged: Unjudged = field(default_factory=dict)
    """Run id and task -> why its outputs are not judged."""
    killed: tuple[PlannedRun, ...] = ()
    """Runs whose training somebody ended; the same command goes on with them."""
    neighbours: tuple[tuple[RunRecord, TaskResult], ...] = ()
    """Comparable results of the reference method that the store had already."""

    @property
    def final_results(self) -> tuple[TaskResult, ...]:
        """The results but for outputs that have a judged result too."""
        judged = {(r.run_id, canonical(r.spec.task)) for r in self.results if r.spec.judge}
        return tuple(
            r
            for r in self.results
            if r.spec.judge or (r.run_id, canonical(r.spec.task)) not in judged
        )

    @property
    def known_runs(self) -> tuple[RunRecord, ...]:
        return (*self.runs, *(run for run, _ in self.neighbours))

    @property
    def known_results(self) -> tuple[TaskResult, ...]:
        return (*self.results, *(result for _, result in self.neighbours))

    @property
    def ok(self) -> bool:
        wanting = self.refused or self.unjudged or self.killed
        trained = all(r.status in ("done", "skipped") for r in self.runs)
        return trained and not wanting and all(r.publishable for r in self.results)

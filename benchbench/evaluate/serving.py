"""Opens engines for the checkpoints of a base model, proves that they are served, scores them.

A checkpoint that must not be served is left out and named; the others go on without it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchbench.checkpoints.parity import Reference, check
from benchbench.checkpoints.weights import base_for
from benchbench.engines.choice import open_engine
from benchbench.engines.engine import Engine, EngineSettings
from benchbench.errors import CheckpointError, CheckpointOverflow, StoreError
from benchbench.evaluate.jobs import Job, Refused
from benchbench.evaluate.results import counted, evaluate
from benchbench.machine import reset_peak
from benchbench.models.base import BaseModel
from benchbench.records.record import Checkpoint, EngineSpec, Parity, TaskResult
from benchbench.records.store import Store
from benchbench.reporter import Reporter


@dataclass(frozen=True, kw_only=True)
class Served:
    """What came of jobs: the results, which are in the store too, and what could not be served."""

    results: tuple[TaskResult, ...] = ()
    refused: Refused = field(default_factory=dict)


def serve(
    jobs: Sequence[Job],
    store: Store,
    reporter: Reporter,
    open_engine: Callable[[str, EngineSettings, Sequence[Checkpoint]], Engine] = open_engine,
) -> Served:
    """Score jobs that one engine serves.

    Checkpoints with a head of their own beside a base model without one follow in a second one,
    opened for a base model with a head.
    """
    results: list[TaskResult] = []
    refused: Refused = {}
    groups: dict[BaseModel, list[Job]] = {}
    with TemporaryDirectory(prefix="benchbench-") as scratch:
        for job in jobs:
            with _refusing(job.run.run_id, refused):
                model = base_for(job.checkpoint, job.model, Path(scratch))
                groups.setdefault(model, []).append(job)
        for model, group in groups.items():
            engine, checkpoints = group[0].spec.engine, _checkpoints(group)
            reporter.say(f"starting {engine.name} for {counted(checkpoints)}")
            reset_peak()
            server = open_engine(engine.name, _settings(model, group, engine), checkpoints)
            try:
                results += _results(server, group, store, reporter, refused)
            finally:
                server.close()
    return Served(results=tuple(results), refused=refused)


def _results(
    engine: Engine, jobs: Sequence[Job], store: Store, reporter: Reporter, refused: Refused
) -> list[TaskResult]:
    """Load, prove and score; what must not be served is added to ``refused``."""
    for checkpoint in _checkpoints(jobs):
        with _refusing(checkpoint.run_id, refused):
            engine.load([checkpoint])
    parities = _prove(engine, _left(jobs, refused, []), store, reporter, refused)
    found: list[TaskResult] = []
    while left := _left(jobs, refused, found):
        try:
            for result in evaluate(engine, left, parities, store, reporter):
                found.append(result)  # one by one: those before an overflow count
            break
        except CheckpointOverflow as error:
            refused[error.run_id] = str(error)
    return found


@contextmanager
def _refusing(run_id: str, refused: Refused) -> Iterator[None]:
    """Add a run to ``refused`` where its checkpoint must not be served."""
    try:
        yield
    except (CheckpointError, StoreError) as error:
        refused[run_id] = str(error)


def _checkpoints(jobs: Sequence[Job]) -> list[Checkpoint]:
    return list({job.run.run_id: job.checkpoint for job in jobs}.values())


def _left(jobs: Sequence[Job], refused: Refused, found: Sequence[TaskResult]) -> list[Job]:
    """Return the jobs that may be served and have no result yet."""
    done = {(result.run_id, result.spec.key) for result in found}
    return [
        job
        for job in jobs
        if job.run.run_id not in refused and (job.run.run_id, job.spec.key) not in done
    ]


def _settings(model: BaseModel, jobs: Sequence[Job], engine: EngineSpec) -> EngineSettings:
    longest = max(job.longest for job in jobs)
    return EngineSettings(model=model, precision=engine.dtype, max_tokens=max(longest, 128))


def _prove(
    engine: Engine, jobs: Sequence[Job], store: Store, reporter: Reporter, refused: Refused
) -> dict[str, Parity]:
    """Compare what is served with what was trained, for each run once."""
    parities: dict[str, Parity] = {}
    for run_id, job in {job.run.run_id: job for job in jobs}.items():
        with _refusing(run_id, refused):
            reference = Reference.read(store.run_folder(run_id) / "parity.json")
            served = engine.logprobs(run_id, reference.prompts)
            parities[run_id] = check(served, reference, job.checkpoint.route, engine.spec.dtype)
        if run_id in parities and not parities[run_id].passed:
            reporter.say(
                f"{job.run.label}: what {engine.spec.name} serves is not what was trained, or is "
                "the base model still (largest difference of a log-probability to the trained "
                f"model {parities[run_id].max_difference}, to the base model "
                f"{parities[run_id].effect}); its score is not publishable"
            )
    return parities

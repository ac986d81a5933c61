"""Opens engines for the checkpoints of a base model, proves that they are served, scores them.

A checkpoint that must not be served is left out and named; the others go on without it.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchbench.checkpoints.parity import Reference, check
from benchbench.checkpoints.weights import base_for
from benchbench.engines.choice import open_engine
from benchbench.engines.engine import Engine, EngineSettings
from benchbench.errors import CheckpointError, CheckpointOverflow, StoreError
from benchbench.evaluate import results
from benchbench.evaluate.jobs import Job, Refused
from benchbench.machine import reset_peak
from benchbench.plan.plan import Plan
from benchbench.records.record import EngineSpec, Parity
from benchbench.records.store import Store
from benchbench.reporter import Reporter


def serve(plan: Plan, jobs: Sequence[Job], store: Store, reporter: Reporter) -> Refused:
    """Score all jobs; the results are in the store, and what could not be served is returned.

    One engine serves all that it can. Checkpoints with a head of their own beside a base model
    without one, and those that only the transformers engine serves, follow in engines of theirs.
    """
    refused: Refused = {}
    groups: dict[tuple[EngineSpec, Path], list[Job]] = {}
    with TemporaryDirectory(prefix="benchbench-") as scratch:
        for job in jobs:
            try:
                model = base_for(job.checkpoint, plan.model.folder, Path(scratch))
            except CheckpointError as error:
                refused[job.run.run_id] = str(error)
                continue
            groups.setdefault((job.spec.engine, model), []).append(job)
        for (engine, model), group in groups.items():
            refused |= _serve(engine, model, group, store, reporter)
    return refused


def _serve(
    engine: EngineSpec, model: Path, jobs: Sequence[Job], store: Store, reporter: Reporter
) -> Refused:
    """Score the jobs of one engine."""
    checkpoints = list({job.run.run_id: job.checkpoint for job in jobs}.values())
    reporter.say(f"starting {engine.name} for {_count(checkpoints)}")
    reset_peak()
    server = open_engine(engine.name, _settings(model, jobs, engine), checkpoints)
    refused: Refused = {}
    try:
        for checkpoint in checkpoints:
            try:
                server.load([checkpoint])
            except CheckpointError as error:
                refused[checkpoint.run_id] = str(error)
        left = _left(jobs, refused, store)
        parities = _prove(server, left, store, reporter, refused)
        left = _left(left, refused, store)
        while left:
            try:
                _evaluate(server, left, parities, store, reporter)
                break
            except CheckpointOverflow as error:
                refused[error.run_id] = str(error)
                left = _left(jobs, refused, store)
    finally:
        server.close()
    return refused


def _left(jobs: Sequence[Job], refused: Refused, store: Store) -> list[Job]:
    """Return the jobs that may be served and have no result yet."""
    return [
        job
        for job in jobs
        if job.run.run_id not in refused and store.result(job.run.run_id, job.spec) is None
    ]


def _settings(model: Path, jobs: Sequence[Job], engine: EngineSpec) -> EngineSettings:
    longest = max(job.longest for job in jobs)
    return EngineSettings(model=model, precision=engine.dtype, max_tokens=max(longest, 128))


def _prove(
    engine: Engine, jobs: Sequence[Job], store: Store, reporter: Reporter, refused: Refused
) -> dict[str, Parity]:
    """Compare what is served with what was trained, for each run once."""
    parities: dict[str, Parity] = {}
    for run_id, job in {job.run.run_id: job for job in jobs}.items():
        try:
            reference = Reference.read(store.run_folder(run_id) / "parity.json")
            served = engine.logprobs(run_id, reference.prompts)
            parities[run_id] = check(served, reference, job.checkpoint.route, engine.spec.dtype)
        except (CheckpointError, StoreError) as error:
            refused[run_id] = str(error)
            continue
        if not parities[run_id].passed:
            reporter.say(
                f"{job.run.label}: what {engine.spec.name} serves is not what was trained, or is "
                "the base model still (largest difference of a log-probability to the trained "
                f"model {parities[run_id].max_difference}, to the base model "
                f"{parities[run_id].effect}); its score is not publishable"
            )
    return parities


def _evaluate(
    engine: Engine,
    jobs: Sequence[Job],
    parities: dict[str, Parity],
    store: Store,
    reporter: Reporter,
) -> None:
    total = sum(len(job.split.samples) for job in jobs)
    runs = _count({job.run.run_id for job in jobs})
    with reporter.bar(f"evaluating {runs}", total) as update:
        done = results.evaluate(
            engine, jobs, parities, store, lambda n: update(n, total, ""), reporter.say
        )
        for _ in done:
            pass


def _count(checkpoints: Collection[object]) -> str:
    return f"{len(checkpoints)} checkpoint{'s' * (len(checkpoints) != 1)}"

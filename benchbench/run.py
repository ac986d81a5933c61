"""The line of march: plan, train what is missing, evaluate what is missing.

The only module that knows the order. Each step takes what the store lacks and leaves it there, so
that a command that was killed goes on where it stopped.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from benchbench import evaluate, train
from benchbench.engines import Engine, EngineSettings, choose_engine, engine_spec, open_engine
from benchbench.engines.parity import Reference, check
from benchbench.hardware import precision
from benchbench.plan import Grid, Plan, TaskSplit, make_plan
from benchbench.prompt import Renderer
from benchbench.record import EngineSpec, Parity, ResultSpec, RunRecord, TaskResult
from benchbench.registry import Registry
from benchbench.specs import RunSpec, canonical
from benchbench.store import Store

Update = Callable[[int, int, str], None]
"""Told how many are done, of how many (0: not known yet), and a note to show beside the bar."""


class Reporter(Protocol):
    """Shows how far a command is."""

    def say(self, text: str) -> None: ...

    def bar(self, label: str, total: int) -> AbstractContextManager[Update]: ...


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """Everything a ``run`` command says."""

    grid: Grid
    store: Store
    engine: str = "auto"
    data_root: Path | None = None
    no_plugins: tuple[str, ...] = ()
    retry_failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a command found and did; ``ok`` tells whether nothing failed."""

    plan: Plan
    engine: EngineSpec
    runs: tuple[RunRecord, ...]
    results: tuple[TaskResult, ...]
    neighbours: tuple[tuple[RunRecord, TaskResult], ...] = ()
    """Comparable results of the reference method that the store had already."""

    @property
    def known_runs(self) -> tuple[RunRecord, ...]:
        return (*self.runs, *(run for run, _ in self.neighbours))

    @property
    def known_results(self) -> tuple[TaskResult, ...]:
        return (*self.results, *(result for _, result in self.neighbours))

    @property
    def ok(self) -> bool:
        return all(r.status in ("done", "skipped") for r in self.runs) and all(
            r.publishable for r in self.results
        )


def run(request: RunRequest, registry: Registry, reporter: Reporter) -> Report:
    """Do whatever a request still lacks and return all of it."""
    plan = make_plan(request.grid, registry, request.data_root, precision())
    engine, reason = choose_engine(request.engine, plan.model.folder)
    spec = engine_spec(engine, precision())
    _announce(plan, spec, reason, reporter)
    with request.store.lock():
        if request.retry_failed:
            _set_failed_aside(plan, request.store)
        runs = _train_missing(plan, request, registry, reporter)
        results = _evaluate_missing(plan, spec, runs, request.store, registry, reporter)
    neighbours = _references(results, request.store)
    return Report(plan=plan, engine=spec, runs=runs, results=results, neighbours=neighbours)


def _announce(plan: Plan, engine: EngineSpec, reason: str, reporter: Reporter) -> None:
    sources = {split.data.source for split in (plan.training, *plan.tests)}
    if "sample" in sources:
        reporter.say(
            "data: sample (a small set that comes with benchbench; scores are not comparable "
            "with those on real data, which --data DIR takes)"
        )
    reporter.say(f"engine: {engine.name} {engine.version} on {engine.device}, {reason}")


def _set_failed_aside(plan: Plan, store: Store) -> None:
    for spec in plan.runs:
        record = store.run(spec.id)
        if record is not None and record.status not in ("done", "skipped"):
            store.set_aside(spec.id)


def _train_missing(
    plan: Plan, request: RunRequest, registry: Registry, reporter: Reporter
) -> tuple[RunRecord, ...]:
    store = request.store
    missing = [spec for spec in plan.runs if store.run(spec.id) is None]
    if missing:
        examples = store.folder / f".examples-{plan.training.data.digest[:12]}.safetensors"
        if any(spec.train for spec in missing):
            renderer = Renderer.of(plan.model.folder)
            split = plan.training
            train.write_examples(
                examples,
                [renderer.example(split.task, s, split.protocol) for s in split.samples],
            )
        for spec in missing:
            store.add_run(_train_one(spec, examples, plan, request, registry, reporter))
            # From here on the record answers; what only an unfinished training needs can go.
            shutil.rmtree(store.run_folder(spec.id) / "work", ignore_errors=True)
        examples.unlink(missing_ok=True)
    records = [store.run(spec.id) for spec in plan.runs]
    return tuple(record for record in records if record is not None)


def _train_one(
    spec: RunSpec,
    examples: Path,
    plan: Plan,
    request: RunRequest,
    registry: Registry,
    reporter: Reporter,
) -> RunRecord:
    job = train.TrainJob(
        spec=spec,
        model=plan.model.folder,
        examples=examples if spec.train else None,
        folder=request.store.run_folder(spec.id),
        no_plugins=request.no_plugins,
    )
    verb = "training" if spec.train else "measuring"
    with reporter.bar(f"{verb} {spec.method.name} (seed {spec.seed})", 0) as update:
        outcome = train.train(job, lambda p: update(p.step, p.steps, _loss(p.loss)))
    if outcome.status != "done":
        reporter.say(f"{spec.method.name} (seed {spec.seed}): {outcome.status}: {outcome.reason}")
    return RunRecord(
        spec=spec,
        status=outcome.status,
        reason=outcome.reason,
        role=registry.methods[spec.method.name].role,
        origin=registry.origins["method", spec.method.name],
        cost=outcome.cost,
        artefact=outcome.artefact,
        environment=outcome.environment,
        created=evaluate.now(),
    )


def _evaluate_missing(
    plan: Plan,
    engine: EngineSpec,
    runs: Sequence[RunRecord],
    store: Store,
    registry: Registry,
    reporter: Reporter,
) -> tuple[TaskResult, ...]:
    wanted = [
        (record, split, result_spec(split, engine, record))
        for record in runs
        if record.status == "done"
        for split in plan.tests
    ]
    missing = [job for job in wanted if store.result(job[0].run_id, job[2]) is None]
    if missing:
        jobs = _jobs(missing, plan, store, registry)
        checkpoints = list({job.run.run_id: job.checkpoint for job in jobs}.values())
        reporter.say(f"starting {engine.name} with {len(checkpoints)} checkpoints")
        server = open_engine(engine.name, _settings(plan, jobs, engine), checkpoints)
        try:
            _serve(server, jobs, store, reporter)
        finally:
            server.close()
    results = [store.result(record.run_id, spec) for record, _, spec in wanted]
    return tuple(result for result in results if result is not None)


def _jobs(
    missing: Sequence[tuple[RunRecord, TaskSplit, ResultSpec]],
    plan: Plan,
    store: Store,
    registry: Registry,
) -> list[evaluate.Job]:
    renderer = Renderer.of(plan.model.folder)
    prompts = {
        split.spec.label: evaluate.render(split, renderer)
        for split in plan.tests
        if any(split is wanted for _, wanted, _ in missing)
    }
    checkpoints = {r.run_id: store.checkpoint(r) for r, _, _ in missing}
    return [
        evaluate.Job(
            run=record,
            checkpoint=checkpoints[record.run_id],
            split=split,
            prompts=prompts[split.spec.label],
            spec=spec,
            origin=registry.origins["task", split.spec.name],
        )
        for record, split, spec in missing
    ]


def _settings(plan: Plan, jobs: Sequence[evaluate.Job], engine: EngineSpec) -> EngineSettings:
    longest = max(
        max(len(prompt.tokens) for prompt in job.prompts) + job.split.protocol.generation.max_tokens
        for job in jobs
    )
    return EngineSettings(
        model=plan.model.folder, precision=engine.dtype, max_tokens=max(longest, 128)
    )


def _serve(engine: Engine, jobs: Sequence[evaluate.Job], store: Store, reporter: Reporter) -> None:
    parities: dict[str, Parity] = {}
    for run_id, record in {job.run.run_id: job.run for job in jobs}.items():
        reference = Reference.read(store.run_folder(run_id) / "parity.json")
        parities[run_id] = check(engine, run_id, reference)
        if not parities[run_id].passed:
            reporter.say(
                f"{record.spec.method.name} (seed {record.spec.seed}): what {engine.spec.name} "
                "serves is not what was trained (largest difference of a log-probability "
                f"{parities[run_id].max_difference}); its score is not publishable"
            )
    total = sum(len(job.split.samples) for job in jobs)
    with reporter.bar(f"evaluating {len(parities)} checkpoints", total) as update:
        for _ in evaluate.evaluate(engine, jobs, parities, store, lambda n: update(n, total, "")):
            pass


def _references(
    results: Sequence[TaskResult], store: Store
) -> tuple[tuple[RunRecord, TaskResult], ...]:
    """Find the reference method's results that these may be compared with."""
    ids = {result.run_id for result in results}
    references = {r.run_id: r for r in store.runs() if r.role == "reference"}
    trained = {canonical(r.run.train) for r in results if r.run.train is not None}
    wanted = {_compared(r) for r in results}
    return tuple(
        (references[found.run_id], found)
        for found in (store.results() if references.keys() - ids else [])
        if found.run_id in references.keys() - ids
        and _compared(found) in wanted
        and trained <= {canonical(found.run.train)}
    )


def _compared(result: TaskResult) -> str:
    return canonical([asdict(result.run.model), asdict(replace(result.spec, checkpoint=""))])


def result_spec(split: TaskSplit, engine: EngineSpec, record: RunRecord) -> ResultSpec:
    """Say what a result of this run on this task depends on."""
    return ResultSpec(
        task=split.spec,
        version=split.task.version,
        data=split.data,
        engine=engine,
        checkpoint=record.artefact.sha256 if record.artefact else "",
    )


def _loss(value: float | None) -> str:
    return "" if value is None else f"loss {value:.3f}"

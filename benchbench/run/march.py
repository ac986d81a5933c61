"""The line of march: plan, train what is missing, evaluate what is missing.

The only module that knows the order. Each step takes what the store lacks and leaves it there, so
that a command that was killed goes on where it stopped.
"""

from collections.abc import Collection, Sequence

from benchbench.boards.comparable import references
from benchbench.engines.choice import choose_engine
from benchbench.engines.engine import engine_spec
from benchbench.evaluate.jobs import Refused, Wanted, _checkpoints, _jobs, result_spec
from benchbench.evaluate.serving import serve
from benchbench.judge.opening import check_judge, open_judge
from benchbench.judge.results import Unjudged, judge_all
from benchbench.machine import precision
from benchbench.plan.plan import Plan, make_plan
from benchbench.records.record import EngineSpec, RunRecord, TaskResult
from benchbench.records.store import Store, set_aside
from benchbench.registry.registry import Registry
from benchbench.reporter import Reporter
from benchbench.run.request import Report, RunRequest
from benchbench.train.missing import check_devices, train_missing


def run(request: RunRequest, registry: Registry, reporter: Reporter) -> Report:
    """Do whatever a request still lacks and return all of it."""
    plan = make_plan(request.grid, registry, request.data_root, precision())
    engine, reason = choose_engine(request.engine, plan.model)
    spec = engine_spec(engine, precision())
    if request.judge is not None:
        check_judge(request.judge, [split.task for split in plan.tests], registry.models)
    check_devices(request.loaded, plan)
    roles = {registry.methods[run.method.name].role for run in plan.runs}
    _announce(plan, spec, reason, roles, reporter)
    store = request.store
    with store.lock():
        store.runs(), store.results()  # a broken record is told before the work, not after it
        if request.retry_failed:
            _set_failed_aside(plan, store)
        _probe(plan, spec, store)
        train_missing(plan, store, request.loaded, request.data_root, registry, reporter)
        runs = _records(plan, store)
        _tell_of_changed_files(runs, registry, reporter)
        refused = _evaluate_missing(plan, spec, runs, store, registry, reporter)
        results = _results(plan, spec, runs, store)
        judged, unjudged = _judge(plan, results, runs, request, registry, reporter)
    results = (*results, *judged)
    return Report(
        plan=plan,
        engine=spec,
        runs=runs,
        results=results,
        refused=refused,
        unjudged=unjudged,
        killed=tuple(s for s in plan.runs if s.id not in {r.run_id for r in runs}),
        neighbours=references(results, store),
    )


def _probe(plan: Plan, engine: EngineSpec, store: Store) -> None:
    """Ask tasks that are still to be scored for what they need, before hours are spent."""
    records = [store.run(run.id) for run in plan.runs]
    for split in plan.tests:
        if not all(r and store.result(r.run_id, result_spec(split, engine, r)) for r in records):
            split.task.environment()


def _results(
    plan: Plan, engine: EngineSpec, runs: Sequence[RunRecord], store: Store
) -> tuple[TaskResult, ...]:
    found = (store.result(record.run_id, key) for record, _, key in _wanted(plan, engine, runs))
    return tuple(result for result in found if result is not None)


def _judge(
    plan: Plan,
    results: Sequence[TaskResult],
    runs: Sequence[RunRecord],
    request: RunRequest,
    registry: Registry,
    reporter: Reporter,
) -> tuple[tuple[TaskResult, ...], Unjudged]:
    """Have the outputs of judged tasks judged, where somebody was named who does."""
    splits = [split for split in plan.tests if split.task.judged]
    outputs = [result for result in results if not result.is_scored and result.publishable]
    if not splits or not outputs:
        return (), {}
    if request.judge is None:
        reporter.say(
            f"{', '.join(split.spec.label for split in splits)}: outputs are not judged; name a "
            "judge with --judge NAME@URL or --judge MODEL, and the same command goes on"
        )
        return (), {}
    own = {record.run_id for record in runs if record.role == "reference"}
    rivals = [result for result in outputs if result.run_id in own]
    rivals += [r for _, r in references(results, request.store) if r.publishable]
    with open_judge(request.judge, registry.models, request.engine) as judge:
        return judge_all(splits, outputs, rivals, judge, request.store, reporter)


def _records(plan: Plan, store: Store) -> tuple[RunRecord, ...]:
    records = (store.run(spec.id) for spec in plan.runs)
    return tuple(record for record in records if record is not None)


def _wanted(plan: Plan, engine: EngineSpec, runs: Sequence[RunRecord]) -> list[Wanted]:
    """Return every result a plan asks for of the runs that left a checkpoint."""
    return [
        (record, split, result_spec(split, engine, record))
        for record in runs
        if record.status == "done"
        for split in plan.tests
    ]


def _announce(
    plan: Plan, engine: EngineSpec, reason: str, roles: Collection[str], reporter: Reporter
) -> None:
    sources = {split.data.source for split in plan.tests}
    if plan.training:
        sources.add(plan.training.data.source)
    if "sample" in sources:
        reporter.say(
            "data: sample (a small set that comes with benchbench; scores are not comparable "
            "with those on real data, which --data DIR takes)"
        )
    if plan.training:
        count = len(plan.training.samples)
        reporter.say(f"trained on: {plan.training.spec.label}, {count:,} samples")
    lonely = [
        split.spec.label
        for split in plan.tests
        if split.task.judged and not all(sample.targets for sample in split.samples)
    ]
    if lonely and "reference" not in roles:
        reporter.say(
            f"{', '.join(lonely)}: outputs are compared with full finetuning's, which is not among "
            "the methods; where --out holds no such run, add --method full"
        )
    reporter.say(f"engine: {engine.name} {engine.version} on {engine.device}, {reason}")


def _set_failed_aside(plan: Plan, store: Store) -> None:
    """Make room for another try at what failed or cannot be published; nothing is deleted."""
    records = _records(plan, store)
    for record in records:
        if record.status not in ("done", "skipped"):
            set_aside(store.run_folder(record.run_id))
    runs = {record.run_id for record in records}
    for result in store.results():
        if result.run_id in runs and not result.publishable:
            set_aside(store.result_folder(result.run_id, result.spec))


def _tell_of_changed_files(
    runs: Sequence[RunRecord], registry: Registry, reporter: Reporter
) -> None:
    """Say which runs were trained by another content of a plugin's file.

    A package has a version for that; a file that is being written changes from run to run.
    """
    for record in runs:
        now = registry.origins["method", record.spec.method.name]
        if now.distribution == record.origin.distribution == "file" and now != record.origin:
            reporter.say(
                f"{record.label} is in the store, trained by another content of {now.plugin}.py; "
                "raise the method's version to train it anew"
            )


def _evaluate_missing(
    plan: Plan,
    engine: EngineSpec,
    runs: Sequence[RunRecord],
    store: Store,
    registry: Registry,
    reporter: Reporter,
) -> Refused:
    missing = [
        (record, split, key)
        for record, split, key in _wanted(plan, engine, runs)
        if store.result(record.run_id, key) is None
    ]
    checkpoints, damaged = _checkpoints({record.run_id: record for record, _, _ in missing}, store)
    jobs = _jobs(missing, checkpoints, plan, registry)
    return damaged | (serve(plan, jobs, store, reporter) if jobs else {})

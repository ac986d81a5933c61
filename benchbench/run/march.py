"""The line of march: plan, train what is missing, evaluate what is missing, judge.

The only module that knows the order. The store is read once, and anew where what failed was set
aside; each step takes what it lacks and leaves it there, so that a command that was killed goes on
where it stopped.
"""

import shutil
from collections.abc import Sequence

from benchbench.boards.comparable import references
from benchbench.engines.choice import choose_engine, engine_spec
from benchbench.errors import StoreError, TrainingStopped
from benchbench.evaluate.jobs import Refused, Wanted, jobs_of, result_spec
from benchbench.judge.judge import Judge
from benchbench.judge.opening import find_judge, opened
from benchbench.judge.results import Unjudged, judge_all
from benchbench.machine import precision
from benchbench.models.find import FoundModel
from benchbench.plan.plan import Plan, make_plan
from benchbench.records.record import Checkpoint, EngineSpec, RunRecord, TaskResult
from benchbench.records.store import Snapshot, Store, set_aside
from benchbench.registry.registry import Registry
from benchbench.reporter import Reporter
from benchbench.run.executor import Executor
from benchbench.run.request import Report, RunRequest
from benchbench.train.examples import tokenised
from benchbench.train.job import TrainJob
from benchbench.train.launcher import check_devices, train_told


def run(request: RunRequest, registry: Registry, executor: Executor, reporter: Reporter) -> Report:
    """Do whatever a request still lacks and return all of it."""
    plan = make_plan(request.grid, registry, request.data_root, precision())
    engine, reason = choose_engine(request.engine, plan.model)
    spec = engine_spec(engine, precision())
    tasks = [split.task for split in plan.tests]
    judge = find_judge(request.judge, tasks, registry.models)
    check_devices(request.devices, plan)
    _announce(plan, spec, reason, reporter)
    store = request.store
    with store.lock():
        known = store.read()  # a broken record is told before the work, not after it
        if request.retry_failed:
            known = _set_failed_aside(plan, known, store)
        _probe(plan, spec, known)
        known = _train_missing(plan, known, request, executor, reporter)
        runs = tuple(known.runs[each.id] for each in plan.runs if each.id in known.runs)
        _tell_of_changed_files(plan, known, reporter)
        wanted = _wanted(plan, spec, runs)
        known, refused = _evaluate_missing(plan, wanted, known, store, executor, reporter)
        found = (known.result(record.run_id, key) for record, _, key in wanted)
        results = tuple(result for result in found if result is not None)
        judged, unjudged = _judge(plan, results, known, judge, request, reporter)
    results = (*results, *judged)
    return Report(
        plan=plan,
        engine=spec,
        runs=runs,
        results=results,
        refused=refused,
        unjudged=unjudged,
        killed=tuple(each for each in plan.runs if each.id not in known.runs),
        neighbours=references(results, known.with_records(*judged)),
    )


def _set_failed_aside(plan: Plan, known: Snapshot, store: Store) -> Snapshot:
    """Make room for another try at what failed or cannot be published; nothing is deleted."""
    planned = {each.id for each in plan.runs}
    for result in known.results:
        if result.run_id in planned and not result.publishable:
            set_aside(store.result_folder(result.run_id, result.spec))
    for run_id in planned & known.runs.keys():
        if known.runs[run_id].status not in ("done", "skipped"):
            set_aside(store.run_folder(run_id))
    return store.read()


def _probe(plan: Plan, engine: EngineSpec, known: Snapshot) -> None:
    """Ask tasks that are still to be scored for what they need, before hours are spent."""
    records = [known.runs.get(each.id) for each in plan.runs]
    for split in plan.tests:
        if not all(r and known.result(r.run_id, result_spec(split, engine, r)) for r in records):
            split.task.environment()


def _train_missing(
    plan: Plan, known: Snapshot, request: RunRequest, executor: Executor, reporter: Reporter
) -> Snapshot:
    """Train the runs that have no record yet, one after the other, until somebody ends one."""
    store = request.store
    for each in plan.runs:
        if each.id in known.runs:  # left by a command that was killed after its last word
            shutil.rmtree(store.run_folder(each.id) / "work", ignore_errors=True)
    missing = [each for each in plan.runs if each.id not in known.runs]
    examples = None
    if plan.training and any(each.spec.train for each in missing):
        examples = tokenised(plan, plan.training, store.folder, reporter)

    for each in missing:
        job = TrainJob(
            spec=each.spec,
            role=each.method.role,
            origin=each.origin,
            model=plan.model.folder,
            examples=examples if each.spec.train else None,
            folder=store.run_folder(each.id),
            plugins=request.plugins,
            no_plugins=request.no_plugins,
            data_root=request.data_root,
            devices=request.devices,
            sharded=request.sharded,
            trackers=request.trackers,
        )
        try:
            record = train_told(job, each.label, executor.train, reporter)
        except TrainingStopped as error:
            reporter.say(f"{each.label}: {error}")
            reporter.say("the same command again goes on from here")
            break
        store.add_run(record)
        known = known.with_records(record)
        # From here on the record answers; what only an unfinished training needs can go.
        shutil.rmtree(job.work, ignore_errors=True)
    return known


def _tell_of_changed_files(plan: Plan, known: Snapshot, reporter: Reporter) -> None:
    """Say which runs were trained by another content of a plugin's file.

    A package has a version for that; a file that is being written changes from run to run.
    """
    for each in plan.runs:
        then = known.runs[each.id].origin if each.id in known.runs else each.origin
        if then.distribution == each.origin.distribution == "file" and then != each.origin:
            reporter.say(
                f"{each.label} is in the store, trained by another content of "
                f"{each.origin.plugin}.py; raise the method's version to train it anew"
            )


def _wanted(plan: Plan, engine: EngineSpec, runs: Sequence[RunRecord]) -> list[Wanted]:
    """Return every result a plan asks for of the runs that left a checkpoint."""
    return [
        (record, split, result_spec(split, engine, record))
        for record in runs
        if record.status == "done"
        for split in plan.tests
    ]


def _evaluate_missing(
    plan: Plan,
    wanted: Sequence[Wanted],
    known: Snapshot,
    store: Store,
    executor: Executor,
    reporter: Reporter,
) -> tuple[Snapshot, Refused]:
    """Have what lacks a result served: one engine after the other, each for all it serves."""
    missing = [each for each in wanted if known.result(each[0].run_id, each[2]) is None]
    checkpoints: dict[str, Checkpoint] = {}
    refused: Refused = {}
    for run_id, record in {record.run_id: record for record, _, _ in missing}.items():
        try:
            checkpoints[run_id] = store.checkpoint(record)
        except StoreError as error:
            refused[run_id] = str(error)
    jobs = jobs_of(missing, checkpoints, plan)
    for engine in dict.fromkeys(job.spec.engine for job in jobs):
        group = [job for job in jobs if job.spec.engine == engine]
        served = executor.serve(group, store, reporter)
        known = known.with_records(*served.results)
        refused |= served.refused
    return known, refused


def _judge(
    plan: Plan,
    results: Sequence[TaskResult],
    known: Snapshot,
    judge: Judge | FoundModel | None,
    request: RunRequest,
    reporter: Reporter,
) -> tuple[tuple[TaskResult, ...], Unjudged]:
    """Have the outputs of judged tasks judged, where somebody was named who does."""
    splits = [split for split in plan.tests if split.task.judged]
    outputs = [result for result in results if not result.is_scored and result.publishable]
    if not splits or not outputs:
        return (), {}
    if judge is None:
        reporter.say(
            f"{', '.join(split.spec.label for split in splits)}: outputs are not judged; name a "
            "judge with --judge NAME@URL or --judge MODEL, and the same command goes on"
        )
        return (), {}
    rivals = [r for r in outputs if known.runs[r.run_id].role == "reference"]
    rivals += [r for _, r in references(results, known) if r.publishable]
    with opened(judge, request.engine) as answering:
        return judge_all(splits, outputs, rivals, answering, known, request.store, reporter)


def _announce(plan: Plan, engine: EngineSpec, reason: str, reporter: Reporter) -> None:
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
    if lonely and not any(each.method.role == "reference" for each in plan.runs):
        reporter.say(
            f"{', '.join(lonely)}: outputs are compared with full finetuning's, which is not among "
            "the methods; where --out holds no such run, add --method full"
        )
    reporter.say(f"engine: {engine.name} {engine.version} on {engine.device}, {reason}")

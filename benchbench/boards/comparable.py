"""What may stand in one table, said once: as the key of a result. Pure: records in, value out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchbench.errors import BoardError
from benchbench.records.record import RunRecord, TaskResult
from benchbench.records.store import Snapshot
from benchbench.specs import canonical


def key(result: TaskResult) -> Mapping[str, str]:
    """Return all that the results of a table share, by name: everything but method and seed.

    What says nothing about a result is left out of its key, and fits whatever the others have.
    """
    spec, run = result.spec, result.run
    shared: dict[str, Any] = {
        "model": run.model,
        "task": spec.task,
        "data": spec.data,
        "precision": [spec.engine.dtype, spec.engine.device],
        "judge": spec.judge,
        # Without the checkpoint: a run's opponent is of its own seed where there is one.
        "opponent": spec.opponent.rpartition(":")[0],
    }
    if result.route != "transformers":  # which is served by no other engine
        shared["engine"] = spec.engine
    if run.train is not None:
        shared["training"] = run.train
    return {name: canonical(value) for name, value in shared.items()}


def refuse_incomparable(results: Iterable[TaskResult]) -> None:
    """Raise BoardError where results differ in more than method, seed and checkpoint."""
    seen: dict[str, str] = {}
    ids: set[str] = set()
    for result in results:
        if result.run_id in ids:
            raise BoardError(
                f"run {result.run_id} has two results here, of two trainings of the same run; "
                "keep one of them."
            )
        ids.add(result.run_id)
        for name, text in key(result).items():
            if seen.setdefault(name, text) != text:
                raise BoardError(
                    f"these results cannot stand in one table: {name} is {seen[name]} in one and "
                    f"{text} in another; keep them in separate folders."
                )


def neighbours(results: Iterable[TaskResult], others: Iterable[TaskResult]) -> list[TaskResult]:
    """Return what may stand in the tables of results: of each run the newest, newest first."""
    tables: dict[str, list[TaskResult]] = defaultdict(list)
    for result in results:
        tables[_table(result)].append(result)
    found = []
    for other in sorted(others, key=lambda each: each.created, reverse=True):
        if (table := tables.get(_table(other))) and _fits(other, table):
            table.append(other)
            found.append(other)
    return found


def references(
    results: Sequence[TaskResult], known: Snapshot
) -> tuple[tuple[RunRecord, TaskResult], ...]:
    """Return the reference method's other runs and results that results may be compared with."""
    runs = {run_id: run for run_id, run in known.runs.items() if run.role == "reference"}
    own = {result.run_id for result in results}
    trained = {canonical(result.run.train) for result in results if result.run.train is not None}
    fitting = (
        other
        for other in known.results
        if other.run_id in runs.keys() - own and trained == {canonical(other.run.train)}
    )
    return tuple((runs[each.run_id], each) for each in neighbours(results, fitting))


def _table(result: TaskResult) -> str:
    """Return what no result leaves out of its key."""
    return canonical({k: v for k, v in key(result).items() if k not in ("engine", "training")})


def _fits(result: TaskResult, table: Sequence[TaskResult]) -> bool:
    try:
        refuse_incomparable([*table, result])
    except BoardError:
        return False
    return True

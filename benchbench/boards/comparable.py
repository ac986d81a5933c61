"""Results of the reference method that a store holds, beside which others can stand."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from benchbench.records.record import RunRecord, TaskResult
from benchbench.records.store import Snapshot
from benchbench.specs import canonical


def references(
    results: Sequence[TaskResult], known: Snapshot
) -> tuple[tuple[RunRecord, TaskResult], ...]:
    """Find the reference method's results that these may be compared with."""
    ids = {result.run_id for result in results}
    if not any(result.run.train for result in results):
        return ()
    references = {r.run_id: r for r in known.runs.values() if r.role == "reference"}
    trained = {canonical(r.run.train) for r in results if r.run.train is not None}
    wanted = {_compared(r) for r in results}
    others = references.keys() - ids
    # Of several results of one run, such as against opponents of other seeds, the newest.
    newest = {
        (found.run_id, _compared(found)): found
        for found in sorted(known.results if others else [], key=lambda each: each.created)
        if found.run_id in others
        and _compared(found) in wanted
        and trained <= {canonical(found.run.train)}
    }
    return tuple((references[found.run_id], found) for found in newest.values())


def _compared(result: TaskResult) -> str:
    opponent = result.spec.opponent.rpartition(":")[0]
    spec = replace(result.spec, checkpoint="", opponent=opponent)
    return canonical([asdict(result.run.model), asdict(spec)])

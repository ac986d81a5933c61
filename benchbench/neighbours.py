"""Results of the reference method that a store has already, beside which others can stand."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from benchbench.record import RunRecord, TaskResult
from benchbench.specs import canonical
from benchbench.store import Store


def references(
    results: Sequence[TaskResult], store: Store
) -> tuple[tuple[RunRecord, TaskResult], ...]:
    """Find the reference method's results that these may be compared with."""
    ids = {result.run_id for result in results}
    if not any(result.run.train for result in results):
        return ()
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
    spec = replace(result.spec, checkpoint="", opponent="")
    return canonical([asdict(result.run.model), asdict(spec)])

"""A submission: records of a board's runs, copied from a store into the board's folder."""

from dataclasses import dataclass
from pathlib import Path

from benchbench.boards.board import Membership
from benchbench.records.record import TaskResult
from benchbench.records.store import Store, copy_record
from benchbench.specs import canonical


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What of a store belongs to a board."""

    results: tuple[TaskResult, ...]
    """Of each run and task the newest, such as of those against opponents of other seeds."""
    unjudged: frozenset[str]
    """Ids of runs with outputs that nobody judged."""
    copied: int = 0
    """Records that the board did not have."""

    @property
    def unpublishable(self) -> tuple[TaskResult, ...]:
        """Those of the results that were not copied."""
        return tuple(result for result in self.results if not result.publishable)


def submit(board: Path, members: Membership, store: Store) -> Submission:
    """Copy the records of a board's publishable results; what is there already stays as it is."""
    found = sorted(store.read().results, key=lambda each: each.created)
    found = [result for result in found if result in members]
    newest = {(r.run_id, canonical(r.spec.task)): r for r in found if r.is_scored}
    unjudged = {r.run_id for r in found if not r.is_scored} - {run_id for run_id, _ in newest}
    copied = 0
    for result in newest.values():
        if not result.publishable:
            continue
        folder = board / "records" / result.run_id
        for path, name in (
            (store.run_path(result.run_id), "run"),
            (store.result_path(result.run_id, result.spec), result.spec.key),
        ):
            if not (folder / f"{name}.json").exists():
                copy_record(path, folder / f"{name}.json")
                copied += 1
    return Submission(results=tuple(newest.values()), unjudged=frozenset(unjudged), copied=copied)

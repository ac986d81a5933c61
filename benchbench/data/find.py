"""Where a task's data lie, how to get them, and what identifies them."""

import hashlib
import shlex
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path

from benchbench.contract.task import Data, Sample, Task
from benchbench.errors import DataError
from benchbench.specs import canonical


def find_data(task: Task | type[Task], root: Path | None) -> Data:
    """Find a task's data set: in the data root if there is one, else the sample it embeds.

    A data root without the data set is an error and never falls back to the sample, so that no
    result is mistaken for a real one.
    """
    if root is not None:
        return _find_in(root, task)
    if task.embedded is not None and task.embedded.is_dir():
        return Data(name=task.data_set, folder=task.embedded, source="sample")
    raise DataError(
        f"no sample of data set {task.data_set!r} comes with benchbench; "
        f"{how_to_get(task)}, then pass --data DIR or set BENCHBENCH_DATA=DIR."
    )


def _find_in(root: Path, task: Task | type[Task]) -> Data:
    folder = root / task.data_set
    if folder.is_dir():
        return Data(name=task.data_set, folder=folder, source="folder")
    get = f"{how_to_get(task, root)}, or name another root with --data DIR"
    if not root.is_dir():
        raise DataError(f"the data root {root} is not a folder; {get}.")
    there = ", ".join(sorted(each.name for each in root.iterdir() if each.is_dir())) or "none"
    raise DataError(
        f"data set {task.data_set!r} was looked for in {folder}, which is not a folder "
        f"(folders of {root}: {there}); {get}."
    )


def how_to_get(task: Task | type[Task], root: Path | None = None) -> str:
    """Return how a data root gets a task's data: from the hub, or else by hand."""
    if task.hub is None:
        return by_hand(task, root)
    return f"run: benchbench data get {task.name} --data {shlex.quote(str(root or 'DIR'))}"


def by_hand(task: Task | type[Task], root: Path | None = None) -> str:
    """Return how a data root gets a task's data without the hub."""
    folder = f"{root or 'DIR'}/{task.data_set}"
    return task.how_to_get.replace("{folder}", folder) or f"put the data set into {folder}"


def digest_samples(samples: Iterable[Sample]) -> str:
    """Return the SHA-256 (64 hex digits) over all that samples hold, in order."""
    held = attrgetter("id", "input", "targets", "groups", "context")
    digest = hashlib.sha256()
    for sample in samples:
        # Choices came later: the digest of a sample without them stays.
        content = (*held(sample), sample.choices) if sample.choices else held(sample)
        digest.update(f"{canonical(content)}\n".encode())
    return digest.hexdigest()

"""Fetches a task's data set from the Hugging Face hub, whole or not at all.

It is written in the format that the task reads, into a data root of its own within the other; from
there its folder is moved into place, once the task could read its samples.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from benchbench.contract.task import HubData, Task
from benchbench.data.find import by_hand
from benchbench.errors import BadParameter, DataError, brief, needs, telling
from benchbench.files import replacing, write
from benchbench.hub import quiet, unreachable

PART = ".part"
"""Data root within a data root: what is not yet whole."""
TABLE = ".parquet"
SOURCE = "source.json"
"""File beside the data that says where they came from."""

Contents = TypeVar("Contents")
Row = Mapping[str, Any]


def fetch(
    task: Task,
    root: Path,
    read: Callable[[Path], Contents],
    revision: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Contents:
    """Fetch a task's data set into a data root; return what ``read`` finds in it.

    ``read`` is given a data root that holds the data set and raises DataError where it is not
    whole. ``revision`` is a commit to take instead of the task's. A folder that is there is left
    alone.
    """
    hub = source_of(task, revision)
    folder = root / inside(task.data_set, parts=1)
    with _part(root) as part:
        if folder.exists():
            raise DataError(
                f"{str(folder)!r} exists already and is left as it is; move it away to get the "
                "data set again."
            )
        say(f"{task.name}: {len(hub.files)} files of {hub.repository} at {hub.revision}")
        otherwise = by_hand(task, root)
        originals = {path: _download(hub, path, otherwise) for path in hub.files}
        new = part / task.data_set
        try:
            write_files(hub, originals, new)
            found = read(part)
            _write_source(hub, originals, new)
        except DataError as error:
            reason = str(error).removesuffix(".").replace(f"{new}{os.sep}", "")
            reason = reason.replace(str(new), "it")
            raise DataError(
                f"what {hub.repository} holds at {hub.revision} is not what task {task.name!r} "
                f"reads, and nothing of it is kept: {reason}."
            ) from error
        new.rename(folder)
    return found


def source_of(task: Task, revision: str | None = None) -> HubData:
    """Return where a task's data set is fetched; refuse what can be told before it is."""
    if task.hub is None:
        raise DataError(
            f"the data of task {task.name!r} cannot be fetched from the hub; {by_hand(task)}."
        )
    try:
        hub = replace(task.hub, revision=revision) if revision else task.hub
    except ValueError as error:
        raise BadParameter(f"{error}, such as {task.hub.revision}.") from error
    for path in (*hub.files, *hub.files.values()):
        inside(path)
    if any(path.endswith(TABLE) for path in hub.files):
        _parquet()
    return hub


@contextmanager
def _part(root: Path) -> Iterator[Path]:
    """Hold a data root for one command, and give an empty data root within it."""
    from filelock import FileLock, Timeout

    part = root / PART
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".lock", timeout=0):
            shutil.rmtree(part, ignore_errors=True)  # of a command that was killed
            part.mkdir()
            try:
                yield part
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except Timeout as error:
        raise DataError(
            f"another benchbench command is fetching data into {str(root)!r}; wait for it, or name "
            "another root with --data DIR."
        ) from error
    except OSError as error:
        raise DataError(
            f"the data cannot be written to {str(root)!r} ({error.strerror or error}); make room "
            "there, or name a root you may write to with --data DIR."
        ) from error


def _download(hub: HubData, path: str, otherwise: str) -> Path:
    """Return a file of the hub at its place in the hub's cache.

    What is there is not fetched again, so that a command that was killed goes on at the next file.
    ``otherwise`` is how to get the data without the hub.
    """
    with needs("huggingface_hub", "data"):
        from huggingface_hub import hf_hub_download
    with telling(lambda error: DataError(_why_not_fetched(hub, path, error, otherwise))), quiet():
        found = hf_hub_download(hub.repository, path, repo_type="dataset", revision=hub.revision)
    return Path(found)


def _why_not_fetched(hub: HubData, path: str, error: Exception, otherwise: str) -> str:
    from huggingface_hub import constants, errors

    where = f"data set {hub.repository!r}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return (
            f"{path} of {hub.repository} does not fit into the hub's cache "
            f"({constants.HF_HUB_CACHE}: {error.strerror}); make room, or set HF_HOME."
        )
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{where} is gated: accept its terms on https://huggingface.co/datasets/"
            f"{hub.repository}, then set HF_TOKEN to a token of that account."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no {where} on the hub, or HF_TOKEN may not see it; {otherwise}."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{where} has no revision {hub.revision} on the hub; {otherwise}."
    if isinstance(error, errors.LocalEntryNotFoundError):
        return f"{path} of {where} is not on this machine and the hub {unreachable()} {otherwise}."
    if isinstance(error, errors.EntryNotFoundError):
        return f"{where} has no file {path} at {hub.revision}; {otherwise}."
    return f"{path} of {where} could not be fetched ({brief(error)}); try again."


def write_files(hub: HubData, originals: Mapping[str, Path], folder: Path) -> None:
    """Write files as they are, and tables in the format that the task reads."""
    tables: dict[str, list[Row]] = {}
    for source, target in hub.files.items():
        if source.endswith(TABLE):
            for row in read_table(originals[source], source):
                try:
                    tables.setdefault(target.format_map(row), []).append(row)
                except KeyError as error:
                    raise DataError(
                        f"the table {source} has no column {error.args[0]!r}."
                    ) from error
        else:
            with replacing(folder / inside(target)) as part:
                shutil.copyfile(originals[source], part)
    for target, rows in tables.items():
        try:
            text = hub.text(rows) if hub.text else as_json(target, rows)
        except Exception as error:  # a row may lack any column, or hold anything else in it
            raise DataError(
                f"the rows of {target} are not those that are known "
                f"({type(error).__name__}: {brief(error)})."
            ) from error
        write(folder / inside(target), text.encode())


def inside(path: str, parts: int | None = None) -> str:
    """Return a path that leads nowhere but into the folder it is put to; refuse any other."""
    names = path.split("/")
    if set(names) & {"", ".", ".."} or set(path) & {"\\", "\0", ":"} or len(names) > (parts or 99):
        raise DataError(f"{path!r} is no path within a data set; mend the task's plugin.")
    return path


def read_table(path: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a parquet file, which an error calls ``name``."""
    try:
        rows = list(_parquet().read_table(path).to_pylist())
    except (ValueError, OSError) as error:  # all of pyarrow's are one or the other
        raise DataError(f"{name} is no parquet file ({brief(error)}).") from error
    if not rows:
        raise DataError(f"the table {name} has no rows.")
    return rows


def _parquet() -> Any:
    with needs("pyarrow", "data"):
        from pyarrow import parquet
    return parquet


def as_json(target: str, rows: Sequence[Row]) -> str:
    """Write rows as a JSON list, or one a line."""
    if target.endswith(".json"):
        return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _write_source(hub: HubData, originals: Mapping[str, Path], folder: Path) -> None:
    """Write where the files of a folder came from."""
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    source = {
        "repository": hub.repository,
        "revision": hub.revision,
        "fetched": {path: _sha256(place) for path, place in originals.items()},
        "files": {path.relative_to(folder).as_posix(): _sha256(path) for path in written},
    }
    write(folder / SOURCE, f"{json.dumps(source, indent=1)}\n".encode())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

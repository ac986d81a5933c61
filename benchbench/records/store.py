"""Where records, checkpoints and samples lie. Records are written once and never edited.

<folder>/<run-id>/run.json                       how the training ended
                 /checkpoint/                    what is served
                 /tasks/<result key>/samples.jsonl   one line a sample, as they finish
                                    /result.json     written last
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from benchbench import files
from benchbench.errors import StoreError, reading
from benchbench.records.record import (
    SCHEMA,
    Checkpoint,
    ResultSpec,
    RunRecord,
    TaskResult,
    hash_files,
)
from benchbench.specs import adapter_of

Record = TypeVar("Record", RunRecord, TaskResult)

RUN_ID = "[0-9a-f]" * 12
"""Glob of a run's folder; one that was set aside has a longer name."""


@dataclass(frozen=True)
class Snapshot:
    """The records of a store, as they are read at once."""

    runs: Mapping[str, RunRecord]
    """By run id."""
    by_key: Mapping[tuple[str, str], TaskResult]
    """By run id and key of the result."""

    def result(self, run_id: str, spec: ResultSpec) -> TaskResult | None:
        return self.by_key.get((run_id, spec.key))

    @property
    def results(self) -> Collection[TaskResult]:
        return self.by_key.values()

    def with_records(self, *records: RunRecord | TaskResult) -> "Snapshot":
        """Return what there is once these records are in the store too."""
        runs = {r.run_id: r for r in records if isinstance(r, RunRecord)}
        results = {(r.run_id, r.spec.key): r for r in records if isinstance(r, TaskResult)}
        return Snapshot({**self.runs, **runs}, {**self.by_key, **results})


@dataclass(frozen=True)
class Store:
    """A folder of runs."""

    folder: Path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for one command; the system lets go of it if the command is killed."""
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock", timeout=0)
            lock.acquire()
        except Timeout as error:
            raise StoreError(
                f"another benchbench command is writing to {str(self.folder)!r}; wait for it, or "
                "give this one another folder with --out."
            ) from error
        except OSError as error:
            raise StoreError(
                f"cannot write to {str(self.folder)!r} ({error.strerror}); give a folder you may "
                "write to with --out."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def run_folder(self, run_id: str) -> Path:
        return self.folder / run_id

    def result_folder(self, run_id: str, spec: ResultSpec) -> Path:
        return self.run_folder(run_id) / "tasks" / spec.key

    def run(self, run_id: str) -> RunRecord | None:
        """Return the record in a run's folder, or None where it has not ended yet."""
        return read_record(self.run_path(run_id), RunRecord)

    def read(self) -> Snapshot:
        """Return all records; StoreError names one that is broken."""
        runs = read_records(self.folder.glob(f"{RUN_ID}/run.json"), RunRecord)
        results = self.folder.glob(f"{RUN_ID}/tasks/*-v*-{'[0-9a-f]' * 8}/result.json")
        return Snapshot({}, {}).with_records(*runs, *read_records(results, TaskResult))

    def run_path(self, run_id: str) -> Path:
        return self.run_folder(run_id) / "run.json"

    def result_path(self, run_id: str, spec: ResultSpec) -> Path:
        return self.result_folder(run_id, spec) / "result.json"

    def add_run(self, record: RunRecord) -> Path:
        return write_record(self.run_path(record.run_id), record)

    def add_result(self, result: TaskResult) -> Path:
        return write_record(self.result_path(result.run_id, result.spec), result)

    def checkpoint(self, record: RunRecord) -> Checkpoint:
        """Return a run's checkpoint after checking that its files are the ones it left."""
        if record.artefact is None:
            raise StoreError(f"run {record.run_id} ({record.status}) left no checkpoint.")
        folder = self.run_folder(record.run_id) / "checkpoint"
        found = Checkpoint(
            run_id=record.run_id,
            route=record.artefact.route,
            sha256=record.artefact.sha256,
            folder=folder,
        )
        if found.route != "base" and hash_folder(folder) != found.sha256:
            raise StoreError(
                f"the checkpoint of run {record.run_id} is not the one that was trained (a file "
                f"is missing or changed); delete {str(folder.parent)!r} and run again."
            )
        return found

    def read_rows(self, run_id: str, spec: ResultSpec) -> dict[str, dict[str, Any]]:
        """Return the finished samples of a result by id, dropping a half-written last line."""
        path = self.result_folder(run_id, spec) / "samples.jsonl"
        what, advice = f"{path.name} of run {run_id}", f"delete {str(path.parent)!r} and run again"
        with reading(what, StoreError, advice):
            return {row["id"]: row for row in files.read_lines(path)}

    def add_row(self, run_id: str, spec: ResultSpec, row: Mapping[str, Any]) -> None:
        """Append one finished sample; it survives the death of this process."""
        path = self.result_folder(run_id, spec) / "samples.jsonl"
        with _writing(path):
            files.append(path, row)

    def samples_sha256(self, run_id: str, spec: ResultSpec) -> str:
        """Return the SHA-256 of the finished samples; of nothing where no sample finished."""
        path = self.result_folder(run_id, spec) / "samples.jsonl"
        return hashlib.sha256(path.read_bytes() if path.exists() else b"").hexdigest()


def set_aside(folder: Path) -> Path:
    """Move a folder out of the way so that its work can be tried again; nothing is lost."""
    places = (folder.with_name(f"{folder.name}.failed-{number}") for number in count(1))
    return folder.rename(next(place for place in places if not place.exists()))


def write_record(path: Path, record: RunRecord | TaskResult) -> Path:
    """Write a record whole or not at all; raises StoreError where one is there already."""
    if path.exists():
        raise StoreError(f"{str(path)!r} exists already; records are never overwritten.")
    text = json.dumps(asdict(record), indent=1, sort_keys=True, allow_nan=False)
    return _write_whole(path, f"{text}\n".encode())


def copy_record(source: Path, path: Path) -> Path:
    """Copy a record as it is: what an older benchbench wrote keeps its bytes."""
    return _write_whole(path, source.read_bytes())


def _write_whole(path: Path, content: bytes) -> Path:
    with _writing(path):
        files.write(path, content)
    return path


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say in one sentence what the system has against writing a file."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {str(path)!r} ({error.strerror}); mend that and give the same command "
            "again: nothing that was finished is lost."
        ) from error


def read_record(path: Path, kind: type[Record]) -> Record | None:
    """Read a record; None where there is none, StoreError where it is not one of ours."""
    from pydantic import ValidationError

    try:
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        # First, because a record of another schema may have anything in it.
        if (schema := json.loads(text).get("schema")) != SCHEMA:
            raise StoreError(
                f"{str(path)!r} has schema {schema}, this benchbench reads {SCHEMA}; use the "
                "version that wrote it."
            )
        record: Record = adapter_of(kind).validate_json(text)
        return record
    except (ValueError, AttributeError) as error:
        where = f"{str(path)!r} is not a valid record"
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            where += f" ({'.'.join(map(str, first['loc']))}: {first['msg']})"
        raise StoreError(f"{where}; move it away.") from error


def read_records(paths: Iterator[Path], kind: type[Record]) -> list[Record]:
    found = (read_record(path, kind) for path in sorted(paths))
    return [record for record in found if record is not None]


def hash_folder(folder: Path) -> str:
    """Return the SHA-256 over names and contents of all files of a folder."""
    return hash_files(folder, (path for path in folder.rglob("*") if path.is_file()))

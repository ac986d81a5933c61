"""Where data sets are found, and how their files are read without a traceback."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from benchbench.errors import DataError
from benchbench.specs import canonical
from benchbench.task import Data, Sample, Task

T = TypeVar("T")

JSON_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


def find_data(task: Task | type[Task], root: Path | None) -> Data:
    """Find a task's data set: in the data root if there is one, else the sample it embeds.

    A data root without the data set is an error and never falls back to the sample, so that no
    result is mistaken for a real one.
    """
    if root is not None:
        return _find_in(root, task)
    if task.embedded is not None and task.embedded.is_dir():
        return Data(name=task.data_set, folder=task.embedded, source="sample")
    folder = f"DIR/{task.data_set}"
    raise DataError(
        f"no sample of data set {task.data_set!r} comes with benchbench; "
        f"{_how_to_get(task, folder)}, then pass --data DIR or set BENCHBENCH_DATA=DIR."
    )


def _find_in(root: Path, task: Task | type[Task]) -> Data:
    folder = root / task.data_set
    if folder.is_dir():
        return Data(name=task.data_set, folder=folder, source="folder")
    get = f"{_how_to_get(task, str(folder))}, or name another root with --data DIR"
    if not root.is_dir():
        raise DataError(f"the data root {root} is not a folder; {get}.")
    there = ", ".join(sorted(each.name for each in root.iterdir() if each.is_dir())) or "none"
    raise DataError(
        f"data set {task.data_set!r} was looked for in {folder}, which is not a folder "
        f"(folders of {root}: {there}); {get}."
    )


def _how_to_get(task: Task | type[Task], folder: str) -> str:
    return task.how_to_get.replace("{folder}", folder) or f"put the data set into {folder}"


def digest_samples(samples: Iterable[Sample]) -> str:
    """Return the SHA-256 (64 hex digits) of ids, inputs, targets and contexts, in order."""
    digest = hashlib.sha256()
    for sample in samples:
        content = [sample.id, sample.input, sample.targets, sample.groups, sample.context]
        digest.update(f"{canonical(content)}\n".encode())
    return digest.hexdigest()


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; get the data set again.") from None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); it must be a readable file."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 at byte {error.start}; get the file again."
        ) from error


def read_names(path: Path) -> list[str]:
    """Read a list of one or more names, one a line, each once; blank lines do not count."""
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not names:
        raise DataError(f"{path} is empty; it must hold one name a line.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path} names {twice[0]!r} more than once; name it once.")
    return names


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    text = read_text(path)
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():
            # Half a surrogate pair passes json.loads, and would stop a tokenizer or a hash later.
            canonical(value).encode()
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); get the file again.") from error
    return value


def key(record: object, name: str, kind: type[T], where: str) -> T:
    """Return ``record[name]``, which must be there and a ``kind``.

    ``where`` names the record in the error, e.g. ``Instances[3] of tasks/task020.json``.
    """
    value = _value(record, name, where)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise _wrong(name, value, JSON_NAMES[kind], where)
    return value


def items(record: object, name: str, where: str) -> list[Any]:
    """Return ``record[name]``, a list that is not empty."""
    found = key(record, name, list, where)
    if not found:
        raise _empty(name, where)
    return found


def texts(record: object, name: str, where: str) -> tuple[str, ...]:
    """Return ``record[name]``, a string or a list of one or more strings, as a tuple."""
    value = _value(record, name, where)
    found = (value,) if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(each, str) for each in found):
        raise _wrong(name, value, "a string or a list of strings", where)
    if not found:
        raise _empty(name, where)
    return tuple(found)


def _value(record: object, name: str, where: str) -> Any:
    if not isinstance(record, dict):
        raise DataError(f"{where} is {_name(record)}; it must be an object with the key {name!r}.")
    if name not in record:
        raise DataError(f"{where} has no key {name!r}; get the file again, or add the key.")
    return record[name]


def _empty(name: str, where: str) -> DataError:
    return DataError(f"{name!r} of {where} is empty; it must hold one entry or more.")


def _wrong(name: str, value: object, allowed: str, where: str) -> DataError:
    found = _name(value)
    if isinstance(value, list):
        others = sorted({_name(each) for each in value})
        found += f" of {' and '.join(others)}" if others else ""
    return DataError(f"{name!r} of {where} is {found}; it must be {allowed}.")


def _name(value: object) -> str:
    return JSON_NAMES.get(type(value), type(value).__name__)

"""Where data sets are found, and how their files are read without a traceback."""

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchbench.contract.task import Data, Sample
from benchbench.errors import DataError as DataError
from benchbench.specs import canonical

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


def check_limit(limit: int) -> None:
    """Refuse a task's parameter ``limit`` that ``subset`` could not keep to."""
    if limit < 0:
        raise ValueError(f"limit is {limit}; it must be 0, which takes all, or more")


def subset(samples: Iterable[Sample], limit: int, key: str | None = None) -> list[Sample]:
    """Return ``limit`` samples at most, or so many of each group of kind ``key``; 0 takes all.

    They are those whose ids have the lowest SHA-256, in their order: the same ones whatever the
    order and the rest of the samples, and a smaller limit takes a part of a larger.
    """
    samples = list(samples)
    if limit == 0:
        return samples
    ids: defaultdict[str | None, list[str]] = defaultdict(list)
    for sample in samples:
        ids[sample.groups[key] if key else None].append(sample.id)
    kept = {each for group in ids.values() for each in sorted(group, key=_hash)[:limit]}
    return [sample for sample in samples if sample.id in kept]


def chosen(parameter: str, value: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names that a task's parameter joins by ``+``; ``all`` stands for all known."""
    names = known if value == "all" else value.split("+")
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"{parameter} holds {unknown[0]!r}; write all, or names joined by + of: "
            f"{', '.join(known)}"
        )
    return tuple(name for name in known if name in names)


def present(
    data: Data, parameter: str, wanted: Iterable[str], there: Container[str]
) -> tuple[str, ...]:
    """Return what is there of the wanted parts of a data set.

    An embedded sample holds only some. Real data that lack any are refused, for a mean over fewer
    parts is another score, unless the task's ``parameter`` names those that are there.
    """
    wanted = tuple(wanted)
    found = tuple(name for name in wanted if name in there)
    if found == wanted or (found and data.source == "sample"):
        return found
    missing = ", ".join(name for name in wanted if name not in found)
    instead = f", or take those that are there: {parameter}={'+'.join(found)}" if found else ""
    raise DataError(f"{data.folder} has no {missing}; get the data set again{instead}.")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark; gzip is unpacked.

    Where a file is not there but its gzip is, ``name.gz``, that is read.
    """
    zipped = path.with_name(f"{path.name}.gz")
    try:
        path = zipped if zipped.exists() and not path.exists() else path
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; get the data set again.") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} is not valid gzip ({error}); get the file again.") from error
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
    return _parse(read_text(path), str(path))


def read_jsonl(path: Path) -> list[Any]:
    """Read a file of one or more JSON records, one a line, so that record i is on line i + 1."""
    # Not splitlines: a string may hold U+2028 or another end of a line as it stands.
    lines = read_text(path).rstrip().split("\n")
    if lines == [""]:
        raise DataError(f"{path} is empty; it must hold one JSON record a line.")
    return [_parse(line, f"line {i} of {path}") for i, line in enumerate(lines, start=1)]


def read_csv(path: Path) -> list[list[str]]:
    """Read a file of one or more rows of comma-separated fields; blank lines do not count."""
    try:
        rows = [row for row in csv.reader(io.StringIO(read_text(path)), strict=True) if row]
    except csv.Error as error:
        raise DataError(f"{path} is not valid CSV ({error}); get the file again.") from error
    if not rows:
        raise DataError(f"{path} is empty; it must hold one or more rows.")
    return rows


def _parse(text: str, where: str) -> Any:
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():
            # Half a surrogate pair passes json.loads, and would stop a tokenizer or a hash later.
            canonical(value).encode()
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not valid JSON ({error}); get the file again.") from error
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


def filled(record: object, name: str, where: str) -> str:
    """Return ``record[name]``, a string that is not blank."""
    found = key(record, name, str, where)
    if not found.strip():
        raise DataError(f"{name!r} of {where} is blank; get the file again, or fill it in.")
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

"""Where data sets are found, and how their files are read without a traceback."""

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NewType, TypeVar, cast, dataclass_transform

from benchbench.contract.task import Data, Sample
from benchbench.errors import DataError as DataError

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
SHOWN = 60
"""Characters of a wrong value that an error shows."""


@dataclass_transform(frozen_default=True)
class Row:
    """A row of a file, for ``read_rows``: its classes are frozen dataclasses."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)


@dataclass(frozen=True)
class Rule:
    """What a field of a row must be beyond its type, for ``Annotated``.

    ``read`` returns the field's value, or None where it is not what is ``allowed``.
    """

    read: Callable[[Any], Any]
    allowed: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import PydanticCustomError, core_schema

        def read(value: Any) -> Any:
            found = self.read(value)
            if found is None:
                raise PydanticCustomError("rule", f"Input should be {self.allowed}")
            return found

        return core_schema.no_info_after_validator_function(read, handler(source))


class _OneOrMoreTexts:
    """In pydantic's own parts, for a data set has a million of them."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        one = core_schema.no_info_after_validator_function(
            lambda text: (text,), core_schema.str_schema()
        )
        return core_schema.union_schema(
            [core_schema.tuple_variable_schema(core_schema.str_schema(), min_length=1), one],
            mode="left_to_right",
            custom_error_type="rule",
            custom_error_message="Input should be a string, or a list of one or more strings",
        )


Filled = Annotated[str, Rule(lambda text: text if text.strip() else None, "a text, not blank")]
"""Field of a row: a text that is not blank."""
ONE_OR_MORE = Rule(lambda found: found or None, "a list of one or more")
Items = Annotated[tuple[T, ...], ONE_OR_MORE]
"""Field of a row: a list that is not empty, ``Items[str]`` or ``Items[OtherRow]``."""
Texts = Annotated[tuple[str, ...], _OneOrMoreTexts()]
"""Field of a row: a tuple of one or more texts, of which the file may have one alone."""


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
        why = "does not exist; get the data set again"
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        why = f"is not valid gzip ({error}); get the file again"
    except OSError as error:
        why = f"cannot be read ({error.strerror}); it must be a readable file"
    except UnicodeDecodeError as error:
        why = f"is not UTF-8 at byte {error.start}; get the file again"
    raise DataError(f"{path} {why}.")


def read_names(path: Path) -> list[str]:
    """Read a list of one or more names, one a line, each once; blank lines do not count."""
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not names:
        raise DataError(f"{path} is empty; it must hold one name a line.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path} names {twice[0]!r} more than once; name it once.")
    return names


def read_json(path: Path, kind: Any = Any, **keys: str) -> Any:
    """Read a JSON file as a ``kind``, such as a dataclass; see ``read_rows``."""
    return _validated([read_text(path)], _from_json(kind, **keys), lambda _: str(path))[0]


def read_jsonl(path: Path, kind: Any = Any, **keys: str) -> list[Any]:
    """Read a file of one or more JSON records, one a line, so that record i is on line i + 1."""
    # Not splitlines: a string may hold U+2028 or another end of a line as it stands.
    lines = read_text(path).rstrip().split("\n")
    if lines == [""]:
        raise DataError(f"{path} is empty; it must hold one JSON record a line.")
    return _validated(lines, _from_json(kind, **keys), lambda i: f"line {i} of {path}")


def read_csv(path: Path) -> list[list[str]]:
    """Read a file of one or more rows of comma-separated fields; blank lines do not count."""
    try:
        rows = [row for row in csv.reader(io.StringIO(read_text(path)), strict=True) if row]
    except csv.Error as error:
        raise DataError(f"{path} is not valid CSV ({error}); get the file again.") from error
    if not rows:
        raise DataError(f"{path} is empty; it must hold one or more rows.")
    return rows


def read_rows(path: Path, row: type[T], **keys: str) -> list[T]:
    """Read a file of one or more rows: a JSON list, JSON lines, or CSV with a column a field.

    Its name tells which. The fields of ``row`` are the keys that are read, others are left. No
    value is taken for one of another type; ``Filled``, ``Texts``, ``Items`` and ``Rule`` ask for
    more than a type, and what ``__post_init__`` raises as ValueError is said with
    the row's place. ``keys`` say what the file calls fields, where that is not their name, of rows
    within a row too: ``speaker="from"``. Raises DataError naming file, row, field and value.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        return read_jsonl(path, row, **keys)
    if not name.endswith(".csv"):
        return list(read_json(path, Items[row], **keys))  # type: ignore[valid-type]
    columns = [keys.get(each.name, each.name) for each in fields(row)]  # type: ignore[arg-type]
    rows = read_csv(path)
    for i, found in enumerate(rows, start=1):
        if len(found) != len(columns):
            raise DataError(
                f"row {i} of {path} has {len(found)} columns; it must have {len(columns)}: "
                f"{', '.join(columns)}."
            )
    records = (dict(zip(columns, found, strict=True)) for found in rows)
    reader = _reader(cast(Any, row), **keys)
    return _validated(records, reader.validate_strings, lambda i: f"row {i} of {path}")


def key(record: object, name: str, kind: Any, where: str) -> Any:
    """Return ``record[name]``, which must be there and a ``kind``, as the field of a row may be.

    ``where`` names the record in the error, e.g. ``kwargs[3] of line 7 of ifeval/data.jsonl``.
    """
    if not isinstance(record, dict):
        raise DataError(f"{where} is {_shown(record)}; it must be an object with {name!r}.")
    if name not in record:
        raise _missing(name, where)
    return _validated([json.dumps(record[name])], _from_json(kind), lambda _: where, name)[0]


def items(record: object, name: str, where: str) -> list[Any]:
    """Return ``record[name]``, a list that is not empty."""
    return list(key(record, name, Annotated[list[Any], ONE_OR_MORE], where))


def filled(record: object, name: str, where: str) -> str:
    """Return ``record[name]``, a string that is not blank."""
    return str(key(record, name, Filled, where))


def texts(record: object, name: str, where: str) -> tuple[str, ...]:
    """Return ``record[name]``, a string or a list of one or more strings, as a tuple."""
    return tuple(key(record, name, Texts, where))


def _validated(
    values: Iterable[T], read: Callable[[T], Any], where: Callable[[int], str], *outer: str
) -> list[Any]:
    """Read values; an error calls the i-th, or what ``outer`` leads to it from, ``where(i)``."""
    from pydantic import ValidationError

    found = []
    for i, value in enumerate(values, start=1):
        try:
            found.append(read(value))
        except ValidationError as error:  # it lists every mistake of every row
            raise _refusal(error, where(i), *outer) from None
    return found


def _from_json(kind: Any, **keys: str) -> Callable[[str], Any]:
    return partial(_reader(kind, **keys).validate_json, strict=True)


@cache
def _reader(kind: Any, **keys: str) -> "TypeAdapter[Any]":
    from pydantic import ConfigDict, TypeAdapter

    config = ConfigDict(alias_generator=lambda name: keys.get(name, name), allow_inf_nan=False)
    # pydantic refuses a config beside a dataclass, and takes it beside another name for one.
    return TypeAdapter(NewType("Kind", kind), config=config)  # type: ignore[arg-type]


def _refusal(error: "ValidationError", where: str, *outer: str) -> DataError:
    """Say the first thing that is wrong; ``outer`` leads to what was read from ``where``."""
    first = error.errors(include_url=False)[0]
    reason = first.get("ctx", {}).get("error")
    path: list[str | int] = [*outer, *first["loc"]]
    if first["type"] == "json_invalid":
        return DataError(f"{where} is not valid JSON ({reason}); get the file again.")
    if reason:
        return DataError(f"{_place(path, where)}: {reason}.")
    last = path.pop() if path and isinstance(path[-1], str) else None
    place = _place(path, where)
    if first["type"] == "missing":
        return _missing(str(last), place)
    subject = place if last is None else f"{last!r} of {place}"
    allowed = first["msg"].partition(" should ")[2]
    return DataError(f"{subject} is {_shown(first['input'])}; it must {allowed}.")


def _missing(name: str, where: str) -> DataError:
    return DataError(f"{where} has no key {name!r}; get the file again, or add the key.")


def _place(path: Sequence[str | int], where: str) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"{''.join(steps).removeprefix('.')} of {where}" if path else where


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"

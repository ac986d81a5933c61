"""What is read from the files of a data set, and how a malformed one is named."""

import gzip
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from benchbench.data.read import (
    Filled,
    Items,
    Row,
    Rule,
    Texts,
    filled,
    items,
    key,
    read_csv,
    read_json,
    read_jsonl,
    read_names,
    read_rows,
    read_text,
    texts,
)
from benchbench.errors import DataError


def test_files_are_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig"):
        path = tmp_path / f"{encoding}.json"
        path.write_text('{"ключ": "猫 \\ud83d\\ude00"}', encoding=encoding)
        assert read_json(path) == {"ключ": "猫 😀"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": [1, 2', "not valid JSON .*line 1 column 11"),
        (b"", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a": "\\ud800"}', "not valid JSON .*hex escape"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path} is {message}"):
        read_json(path)


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt does not exist; get the data set again"):
        read_text(tmp_path / "gone.txt")
    with pytest.raises(DataError, match=f"{tmp_path} cannot be read"):
        read_text(tmp_path)


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress("\ufeffключ\r\n猫\rx".encode(), mtime=0))
    assert read_text(tmp_path / "a.txt.gz") == "ключ\n猫\nx"


def test_a_file_that_is_not_there_may_lie_there_as_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'["zipped"]', mtime=0))
    assert read_json(tmp_path / "a.json") == ["zipped"]
    (tmp_path / "a.json").write_text('["plain"]', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == ["plain"]


@pytest.mark.parametrize(
    "content",
    [
        b"no gzip",
        gzip.compress(b"text" * 100, mtime=0)[:-9],
        gzip.compress(b"x", mtime=0)[:10] + b"\xff" * 20,
    ],
)
def test_broken_gzip_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.json.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path} is not valid gzip .*; get the file again"):
        read_json(path)


def test_jsonl_has_a_record_a_line(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text('{"a": "one\u2028two"}\r\n[3]\n\n', encoding="utf-8-sig", newline="")
    assert read_jsonl(path) == [{"a": "one\u2028two"}, [3]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\n \n", "records.jsonl is empty; it must hold one JSON record a line"),
        ('{}\n{"a": \n{}', "line 2 of .*records.jsonl is not valid JSON"),
        ("{}\n\n{}", "line 2 of .*records.jsonl is not valid JSON"),
        ('{}\n{}\n{"a": "\\ud800"}\n', "line 3 of .*records.jsonl is not valid JSON .*hex escape"),
    ],
)
def test_the_wrong_line_of_jsonl_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_jsonl(path)


def test_names_are_read_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\n\r\n  b c  \n\n")
    assert read_names(path) == ["a", "b c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("\n \n", "names.txt is empty"), ("a\nb\na", "names.txt names 'a' more than once")],
)
def test_a_wrong_list_of_names_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "names.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_names(path)


def test_items() -> None:
    assert items({"k": [1]}, "k", "f") == [1]
    with pytest.raises(DataError, match=r"'k' of f is .*; it must be a list of one or more"):
        items({"k": []}, "k", "f")


def test_key() -> None:
    record = json.loads('{"n": 1, "s": "x", "yes": true}')
    assert (key(record, "n", int, "f"), key(record, "s", str, "f")) == (1, "x")
    assert key(record, "yes", bool, "f") is True


@pytest.mark.parametrize(
    ("record", "kind", "message"),
    [
        ({}, str, "f.json has no key 'k'; get the file again, or add the key."),
        ([], str, "f.json is []; it must be an object with 'k'."),
        ("k", str, "f.json is \"k\"; it must be an object with 'k'."),
        ({"k": 3}, str, "'k' of f.json is 3; it must be a valid string."),
        ({"k": None}, list, "'k' of f.json is null; it must be a valid array."),
        ({"k": True}, int, "'k' of f.json is true; it must be a valid integer."),
        ({"k": {}}, bool, "'k' of f.json is {}; it must be a valid boolean."),
    ],
)
def test_key_names_file_and_key(record: object, kind: type, message: str) -> None:
    with pytest.raises(DataError) as caught:
        key(record, "k", kind, "f.json")
    assert str(caught.value) == message


def test_filled() -> None:
    assert filled({"k": " a"}, "k", "f") == " a"
    with pytest.raises(DataError, match=r"'k' of f is .*; it must be a text, not blank"):
        filled({"k": " \n"}, "k", "f")


def test_texts() -> None:
    assert texts({"k": "a"}, "k", "f") == ("a",)
    assert texts({"k": ["a", ""]}, "k", "f") == ("a", "")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "'k' of f.json is []; it must be a string, or a list of one or more strings."),
        (1.5, "'k' of f.json is 1.5; it must be a string, or a list"),
        (["a", 1], "'k' of f.json is [\"a\", 1]; it must be a string, or a list"),
        ({"a": 1}, "'k' of f.json is {\"a\": 1}; it must be a string, or a list"),
    ],
)
def test_texts_names_file_and_key(value: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        texts({"k": value}, "k", "f.json")
    assert str(caught.value).startswith(message)


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\ufeffa,"b, ""c""",猫\r\n\r\n1, 2,"x\ny"\n,,\n', encoding="utf-8")
    assert read_csv(path) == [["a", 'b, "c"', "猫"], ["1", " 2", "x\ny"], ["", "", ""]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; it must hold one or more rows"),
        ("\n\n", "is empty"),
        ('a,"b\n', "is not valid CSV"),
        ('a,"b"c\n', "is not valid CSV"),
        (f"a,{'b' * 200_000}\n", "is not valid CSV .field larger than"),
    ],
)
def test_a_wrong_csv_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=f"a.csv {message}"):
        read_csv(path)


class Part(Row):
    name: Filled
    share: float = 0.0


class Record(Row):
    number: int
    said: Texts
    parts: Items[Part]
    kind: Literal["a", "b"] = "a"
    even: Annotated[int, Rule(lambda n: n if n % 2 == 0 else None, "an even number")] = 0

    def __post_init__(self) -> None:
        if self.number > len(self.parts):
            raise ValueError(f"'number' is {self.number}; it must be that of a part")


GOOD: dict[str, Any] = {"number": 1, "said": "x", "parts": [{"name": " 猫"}], "more": [None]}


def write(folder: Path, name: str, *records: Any) -> Path:
    path = folder / name
    lines = [json.dumps(record) for record in records]
    text = "\n".join(lines) if "jsonl" in name else f"[{','.join(lines)}]"
    path.write_bytes(
        gzip.compress(text.encode(), mtime=0) if name.endswith("gz") else text.encode()
    )
    return path


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.json.gz", "a.jsonl.gz"])
def test_rows_are_read_from_a_list_or_from_lines(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, GOOD, {**GOOD, "said": ["y", ""], "kind": "b"})
    first, second = read_rows(path, Record)
    assert (first.number, first.said, first.parts[0].name) == (1, ("x",), " 猫")
    assert (second.said, second.kind, second.even) == (("y", ""), "b", 0)
    with pytest.raises(AttributeError):
        first.number = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"number": "1"}, "'number' of {} is \"1\"; it must be a valid integer."),
        ({"number": True}, "'number' of {} is true; it must be a valid integer."),
        ({"number": 1.0}, "'number' of {} is 1.0; it must be a valid integer."),
        ({"number": 2}, "{}: 'number' is 2; it must be that of a part."),
        ({"said": None}, "'said' of {} is null; it must be a string, or a list of one or more"),
        ({"said": ["x" * 99]} | {"said": 1.5}, "'said' of {} is 1.5; it must be a string, or"),
        ({"parts": []}, "'parts' of {} is []; it must be a list of one or more."),
        ({"parts": {}}, "'parts' of {} is {{}}; it must be a valid array."),
        ({"parts": [7]}, "{0}parts[0] of {1} is 7; it must be an object."),
        ({"parts": [{}]}, "{0}parts[0] of {1} has no key 'name'; get the file again, or add the"),
        (
            {"parts": [{"name": "\t"}]},
            "'name' of {0}parts[0] of {1} is \"\\t\"; it must be a text, ",
        ),
        ({"parts": [{"name": "x", "share": math.nan}]}, "'share' of {0}parts[0] of {1} is NaN; it"),
        ({"kind": "c"}, "'kind' of {} is \"c\"; it must be 'a' or 'b'."),
        ({"even": 3}, "'even' of {} is 3; it must be an even number."),
        ({"kind": "c" * 99}, f"'kind' of {{}} is \"{'c' * 59}…; it must be"),
    ],
)
def test_a_wrong_row_is_named_with_its_field_and_value(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    for name, place in (("a.jsonl", "line 2 of "), ("a.json", "[1] of ")):
        path = write(tmp_path, name, GOOD, {**GOOD, **changes})
        with pytest.raises(DataError) as caught:
            read_rows(path, Record)
        if "{0}" in message and name == "a.json":
            expected = message.format("[1].", path)
        else:
            expected = message.replace("{0}", "").replace("{1}", "{}").format(f"{place}{path}")
        assert str(caught.value).startswith(expected)
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_rows_that_are_none_are_refused(tmp_path: Path) -> None:
    for content, message in (
        ("[]", "is \\[\\]; it must be a list of one"),
        ("{}", "must be a valid"),
    ):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(DataError, match=f"a.json .*{message}"):
            read_rows(tmp_path / "a.json", Record)
    with pytest.raises(DataError, match=r"line 1 of .*b.jsonl is 3; it must be an object"):
        read_rows(write(tmp_path, "b.jsonl", 3), Record)


def test_a_file_may_call_fields_otherwise(tmp_path: Path) -> None:
    record = {**GOOD, "parts": [{"full name": "x"}], "from": "y"}
    del record["said"]
    path = write(tmp_path, "a.jsonl", record)
    keys = {"name": "full name", "said": "from"}
    (row,) = read_rows(path, Record, **keys)
    assert (row.said, row.parts[0].name) == (("y",), "x")
    assert read_json(write(tmp_path, "b.json", record), Items[Record], **keys) == (row,)
    with pytest.raises(DataError, match=r"line 1 of .* has no key 'said'"):
        read_rows(path, Record)
    with pytest.raises(DataError, match=r"line 1 of .* has no key 'from'"):
        read_rows(write(tmp_path, "a.jsonl", GOOD), Record, said="from")


class Line(Row):
    first: str
    second: Literal["x", "y"]
    third: int = 0


def test_rows_of_csv_have_a_column_a_field(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"a, b",x,3\n\n, y'.replace(" ", "") + ",-1\n", encoding="utf-8")
    assert [(r.first, r.second, r.third) for r in read_rows(path, Line)] == [
        ("a,b", "x", 3),
        ("", "y", -1),
    ]
    for text, message in (
        ("a,x\n", "row 1 of .* has 2 columns; it must have 3: first, second, third"),
        ("a,x,1\nb,z,2\n", "'second' of row 2 of .* is \"z\"; it must be 'x' or 'y'"),
        ("a,x,one\n", "'third' of row 1 of .* is \"one\"; it must be a valid integer"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read_rows(path, Line)

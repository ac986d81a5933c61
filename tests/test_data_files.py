"""What is read from the files of a data set, and how a malformed one is named."""

import gzip
import json
from pathlib import Path

import pytest

from benchbench.data.read import (
    filled,
    items,
    key,
    read_csv,
    read_json,
    read_jsonl,
    read_names,
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
        (b'{"a": [1, 2', "not valid JSON .*line 1 column 12"),
        (b"", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a": "\\ud800"}', "not valid JSON .*surrogates"),
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
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress("\ufeffключ\r\n猫\rx".encode()))
    assert read_text(tmp_path / "a.txt.gz") == "ключ\n猫\nx"


def test_a_file_that_is_not_there_may_lie_there_as_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'["zipped"]'))
    assert read_json(tmp_path / "a.json") == ["zipped"]
    (tmp_path / "a.json").write_text('["plain"]', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == ["plain"]


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"text" * 100)[:-9], gzip.compress(b"x")[:10] + b"\xff" * 20],
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
        ('{}\n{}\n{"a": "\\ud800"}\n', "line 3 of .*records.jsonl is not valid JSON .*surrogates"),
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
    with pytest.raises(DataError, match="'k' of f is empty; it must hold one entry or more"):
        items({"k": []}, "k", "f")


def test_key() -> None:
    record = json.loads('{"n": 1, "s": "x", "yes": true}')
    assert (key(record, "n", int, "f"), key(record, "s", str, "f")) == (1, "x")
    assert key(record, "yes", bool, "f") is True


@pytest.mark.parametrize(
    ("record", "kind", "message"),
    [
        ({}, str, "f.json has no key 'k'; get the file again, or add the key."),
        ([], str, "f.json is a list; it must be an object with the key 'k'."),
        ("k", str, "f.json is a string; it must be an object with the key 'k'."),
        ({"k": 3}, str, "'k' of f.json is a whole number; it must be a string."),
        ({"k": None}, list, "'k' of f.json is null; it must be a list."),
        ({"k": True}, int, "'k' of f.json is true or false; it must be a whole number."),
        ({"k": {}}, bool, "'k' of f.json is an object; it must be true or false."),
    ],
)
def test_key_names_file_and_key(record: object, kind: type, message: str) -> None:
    with pytest.raises(DataError) as caught:
        key(record, "k", kind, "f.json")
    assert str(caught.value) == message


def test_filled() -> None:
    assert filled({"k": " a"}, "k", "f") == " a"
    with pytest.raises(DataError, match="'k' of f is blank; get the file again, or fill it in"):
        filled({"k": " \n"}, "k", "f")


def test_texts() -> None:
    assert texts({"k": "a"}, "k", "f") == ("a",)
    assert texts({"k": ["a", ""]}, "k", "f") == ("a", "")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "'k' of f.json is empty; it must hold one entry or more."),
        (1.5, "'k' of f.json is a number; it must be a string or a list of strings."),
        (["a", 1], "'k' of f.json is a list of a string and a whole number; it must be"),
        ({"a": 1}, "'k' of f.json is an object; it must be a string or a list of strings."),
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

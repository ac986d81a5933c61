import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from benchbench import Data, Protocol, Sample, Task
from benchbench.data import (
    digest_samples,
    find_data,
    items,
    key,
    read_json,
    read_names,
    read_text,
    texts,
)
from benchbench.errors import DataError

SAMPLE = Sample(id="1", input="2+2", targets=("4",), context={"shots": [{"input": "1+1"}]})


class ToyTask(Task):
    name = "toy"
    family = "toys"
    data_set = "toys"
    protocols: ClassVar[Mapping[str, Protocol]] = {}
    metric = "score"

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        yield SAMPLE

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        return {"score": 1.0}


def test_a_data_set_is_found_in_the_data_root(tmp_path: Path) -> None:
    (tmp_path / "toys").mkdir()
    found = Data(name="toys", folder=tmp_path / "toys", source="folder")
    assert find_data(ToyTask(), tmp_path) == found


def test_the_embedded_sample_serves_without_a_data_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyTask, "embedded", tmp_path)
    assert find_data(ToyTask(), None) == Data(name="toys", folder=tmp_path, source="sample")


def test_a_data_root_never_falls_back_to_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyTask, "embedded", tmp_path)
    for folder in ("gsm8k", "bbh"):
        (tmp_path / folder).mkdir()
    with pytest.raises(DataError) as caught:
        find_data(ToyTask(), tmp_path)
    text = str(caught.value)
    assert f"'toys' was looked for in {tmp_path / 'toys'}" in text
    assert f"folders of {tmp_path}: bbh, gsm8k" in text
    assert f"put the data set into {tmp_path / 'toys'}, or name another root with --data" in text


def test_errors_say_how_a_task_gets_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyTask, "how_to_get", "run: fetch toys {folder}")
    with pytest.raises(
        DataError, match=f"folders of .*: none.*; run: fetch toys {tmp_path}/toys, "
    ):
        find_data(ToyTask(), tmp_path)
    with pytest.raises(
        DataError, match=r"nowhere is not a folder; run: fetch toys .*nowhere/toys, "
    ):
        find_data(ToyTask(), tmp_path / "nowhere")
    with pytest.raises(
        DataError, match=r"run: fetch toys DIR/toys, then .*--data .*BENCHBENCH_DATA"
    ):
        find_data(ToyTask(), None)


def test_a_missing_embedded_folder_is_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyTask, "embedded", tmp_path / "gone")
    with pytest.raises(DataError, match="no sample of data set 'toys' comes with benchbench"):
        find_data(ToyTask(), None)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "2"},
        {"input": "2+3"},
        {"targets": ("4", "four")},
        {"targets": ("four",)},
        {"context": {"shots": []}},
    ],
)
def test_the_digest_changes_with_a_sample(change: dict[str, object]) -> None:
    changed = dataclasses.replace(SAMPLE, **change)
    assert digest_samples([SAMPLE]) != digest_samples([changed])


def test_the_digest_knows_order_and_number_and_is_the_same_in_every_run() -> None:
    other = dataclasses.replace(SAMPLE, id="2")
    grouped = dataclasses.replace(SAMPLE, groups={"task": "sums"})
    lists = ([], [SAMPLE], [SAMPLE, other], [other, SAMPLE], [grouped])
    digests = [digest_samples(samples) for samples in lists]
    assert len(set(digests)) == 5
    content = b'["1","2+2",["4"],{},{"shots":[{"input":"1+1"}]}]\n'
    assert digests[1] == hashlib.sha256(content).hexdigest()


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

import dataclasses
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench import Data, Protocol, Sample, Task
from benchbench.data import (
    check_limit,
    chosen,
    digest_samples,
    filled,
    find_data,
    items,
    key,
    present,
    read_csv,
    read_json,
    read_jsonl,
    read_names,
    read_text,
    subset,
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


def test_names_of_a_parameter_come_in_the_order_known() -> None:
    known = ("b", "a", "c")
    assert chosen("parts", "all", known) == known
    assert chosen("parts", "c+b+c", known) == ("b", "c")
    for value in ("", "a+", "a,b", "d"):
        with pytest.raises(ValueError, match=r"parts holds '.*'; write all, or names .* b, a, c"):
            chosen("parts", value, known)


def test_only_a_sample_may_lack_parts(tmp_path: Path) -> None:
    real = Data(name="toys", folder=tmp_path, source="folder")
    sample = dataclasses.replace(real, source="sample")
    assert present(real, "parts", ["a", "b"], {"a", "b", "c"}) == ("a", "b")
    assert present(sample, "parts", ["a", "b"], {"b", "c"}) == ("b",)
    with pytest.raises(DataError, match=r"has no a, d; .* or ask for the others: parts=b\+c\."):
        present(real, "parts", ["a", "b", "c", "d"], {"b", "c"})
    for data in (real, sample):
        with pytest.raises(DataError, match=r"has no a; get the data set again\."):
            present(data, "parts", ["a"], {"b"})


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


def questions(ids: Sequence[int]) -> list[Sample]:
    return [Sample(id=str(i), input="", groups={"parity": str(i % 2)}) for i in ids]


ORDERS = st.lists(st.integers(0, 99), unique=True, max_size=30)


@given(ORDERS, st.integers(1, 20))
def test_a_subset_is_the_lowest_hashes_in_the_order_given(ids: list[int], limit: int) -> None:
    lowest = sorted(ids, key=lambda i: hashlib.sha256(str(i).encode()).hexdigest())[:limit]
    assert subset(questions(ids), limit) == questions([i for i in ids if i in lowest])


@given(ORDERS, st.integers(1, 20))
def test_a_subset_takes_of_each_group_what_it_would_of_the_group_alone(
    ids: list[int], limit: int
) -> None:
    kept = subset(questions(ids), limit, "parity")
    for parity in (0, 1):
        alone = subset(questions([i for i in ids if i % 2 == parity]), limit)
        assert [each for each in kept if each.groups["parity"] == str(parity)] == alone


@given(ORDERS, st.integers(1, 20), st.integers(1, 20))
def test_a_smaller_subset_is_a_part_of_a_larger(ids: list[int], a: int, b: int) -> None:
    few, many = (subset(questions(ids), limit, "parity") for limit in sorted((a, b)))
    assert [each for each in many if each in few] == few


def test_a_limit_of_0_takes_all() -> None:
    samples = questions(range(9))
    assert subset(samples, 0) == subset(samples, 0, "parity") == samples
    assert subset([], 3) == []


def test_a_negative_limit_is_refused() -> None:
    check_limit(0)
    with pytest.raises(ValueError, match="limit is -1; it must be 0, which takes all, or more"):
        check_limit(-1)


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

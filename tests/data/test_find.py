import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench import Data, HubData, Protocol, Sample, Task
from benchbench.data.find import digest_samples, find_data
from benchbench.data.read import check_limit, chosen, present, subset
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
    monkeypatch.setattr(ToyTask, "hub", HubData(repository="a/b", revision="0" * 40, files={}))
    with pytest.raises(DataError, match=r"; run: benchbench data get toy --data DIR, then pass"):
        find_data(ToyTask(), None)
    root = tmp_path / "my data"
    with pytest.raises(DataError, match=f"; run: benchbench data get toy --data '{root}', or"):
        find_data(ToyTask(), root)


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
    with pytest.raises(
        DataError, match=r"has no a, d; .* or take those that are there: parts=b\+c\."
    ):
        present(real, "parts", ["a", "b", "c", "d"], {"b", "c"})
    for data in (real, sample):
        with pytest.raises(DataError, match=r"has no a; get the data set again\."):
            present(data, "parts", ["a"], {"b"})


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

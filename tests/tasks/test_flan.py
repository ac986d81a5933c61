from pathlib import Path
from typing import Any

import pytest

from benchbench import Task
from benchbench.errors import DataError
from benchbench_tasks import flan
from benchbench_tasks.flan import T0, ChainOfThought, FlanRationales, FlanV2
from tests.toys.corpora import read, turns, write

TASKS: list[type[Task]] = flan.register_tasks()
RESAMPLED = "tulu_v1_resampled_flan_100k.jsonl"
PUBLISHED = {
    FlanV2: (RESAMPLED, [{"inputs": "Ask\n", "targets": " tell"}]),
    ChainOfThought: ("cot_zsopt.jsonl", [{"inputs": "Ask\n", "targets": " tell"}]),
    FlanRationales: ("toy_train.tsv", "Ask\ttell\tbecause\n"),
    T0: ("toy.jsonl", [{"prompt": "Ask\n", "completion": "tell<|endoftext|>"}]),
}


def task(kind: type[Task]) -> Task:
    return kind(**({"examples": "without"} if kind is ChainOfThought else {}))


@pytest.mark.parametrize("kind", TASKS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_every_corpus_is_read_from_its_published_file(
    kind: type[Task], zipped: str, tmp_path: Path
) -> None:
    name, rows = PUBLISHED[kind]
    write(tmp_path, f"{name}{zipped}", rows)
    (sample,) = read(task(kind), tmp_path)
    assert sample.id == f"{name.partition('.')[0]}/0"
    if kind is not FlanRationales:
        assert turns(task(kind), sample) == [("user", "Ask"), ("assistant", "tell")]


def test_a_rationale_comes_before_its_answer(tmp_path: Path) -> None:
    text = "Which?\\n- a\\n- b\tb\ta is wrong.\\nb is not.\nNext?\t猫\t为了\u2028犬\n"
    write(tmp_path, "toy_train.tsv.gz", text)
    first, second = read(FlanRationales(), tmp_path)
    assert turns(FlanRationales(), first) == [
        ("user", "Which?\n- a\n- b\nGive the rationale before the answer."),
        ("assistant", "a is wrong.\nb is not.\nSo the answer is b."),
    ]
    assert second.id == "toy_train/1"
    assert second.targets == ("为了\u2028犬\nSo the answer is 猫.",)


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write(tmp_path, f"{name}_train.tsv{'.gz' if name == 'a' else ''}", f"{name}\t1\t2\n")
    assert [s.id for s in read(FlanRationales(), tmp_path)] == [
        "a_train/0",
        "b_train/0",
        "c_train/0",
    ]


@pytest.mark.parametrize(
    ("examples", "asked"),
    [("any", ["without", "with"]), ("without", ["without"]), ("with", ["with"])],
)
def test_chains_of_thought_with_and_without_examples(
    examples: Any, asked: list[str], tmp_path: Path
) -> None:
    write(tmp_path, "cot_zsopt.jsonl", [{"inputs": "without", "targets": "x"}])
    write(tmp_path, "cot_fsopt.jsonl", [{"inputs": "with", "targets": "y"}])
    samples = read(ChainOfThought(examples=examples), tmp_path)
    assert [s.input for s in samples] == asked
    assert len({s.id for s in samples}) == len(samples)


def test_an_answer_that_is_only_its_end_is_empty(tmp_path: Path) -> None:
    write(tmp_path, "toy.jsonl", [{"prompt": "Ask", "completion": "<|endoftext|>"}])
    (sample,) = read(T0(), tmp_path)
    assert turns(T0(), sample) == [("user", "Ask"), ("assistant", "")]


@pytest.mark.parametrize("kind", [FlanV2, ChainOfThought], ids=lambda kind: kind.name)
def test_a_missing_file_is_named(kind: type[Task], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{PUBLISHED[kind][0]} does not exist"):
        read(task(kind), tmp_path)


@pytest.mark.parametrize(("kind", "pattern"), [(FlanRationales, "_train.tsv"), (T0, ".jsonl")])
def test_a_folder_without_a_fitting_file_is_named(
    kind: type[Task], pattern: str, tmp_path: Path
) -> None:
    write(tmp_path, "other.txt", "x")
    with pytest.raises(DataError, match=rf"{tmp_path} has no \*{pattern}; get the data set again"):
        read(kind(), tmp_path)


@pytest.mark.parametrize(
    ("kind", "rows", "message"),
    [
        (FlanV2, [{"inputs": "a"}], "line 1 of .* has no key 'targets'"),
        (
            FlanV2,
            [{"inputs": "a", "targets": ["b"]}],
            r"'targets' of line 1 of .* is \[.b.\]; it must be a valid",
        ),
        (FlanV2, [], f"{RESAMPLED} is empty"),
        (FlanV2, ["a"], "line 1 of .* is .a.; it must be an object"),
        (ChainOfThought, [{"inputs": None, "targets": "b"}], "'inputs' of line 1 of .* is null"),
        (
            FlanRationales,
            "a\tb\tc\nd\te\n",
            "line 2 of .*toy_train.tsv has 2 columns; it must have 3",
        ),
        (FlanRationales, "", "line 1 of .*toy_train.tsv has 1 columns; it must have 3"),
        (T0, [{"prompt": "a", "answer": "b"}], "line 1 of .*toy.jsonl has no key 'completion'"),
    ],
)
def test_malformed_files_are_named(
    kind: type[Task], rows: Any, message: str, tmp_path: Path
) -> None:
    write(tmp_path, PUBLISHED[kind][0], rows)
    with pytest.raises(DataError, match=message):
        read(task(kind), tmp_path)


@pytest.mark.parametrize("kind", [FlanV2, ChainOfThought, T0], ids=lambda kind: kind.name)
def test_half_a_surrogate_pair_is_refused(kind: type[Task], tmp_path: Path) -> None:
    name, rows = PUBLISHED[kind]
    write(tmp_path, name, [{key: "\ud83d" for key in rows[0]}])
    with pytest.raises(DataError, match=f"line 1 of .*{name} is not valid JSON"):
        read(task(kind), tmp_path)


def test_a_table_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "toy_train.tsv").write_bytes(b"a\tb\t\xed\xa0\x80\n")
    with pytest.raises(DataError, match=r"toy_train.tsv is not UTF-8 at byte 4"):
        read(FlanRationales(), tmp_path)


@pytest.mark.parametrize("kind", TASKS, ids=lambda kind: kind.name)
def test_nothing_is_tested_on(kind: type[Task]) -> None:
    assert (kind.splits, kind.family, list(kind.protocols)) == (("train",), "training", ["tulu"])
    assert "{folder}" in kind.how_to_get

from pathlib import Path
from typing import Any

import pytest

from benchbench.errors import DataError
from benchbench_tasks.lima import Lima
from tests.toys.corpora import read, turns, write

PASSED_ON = {"instruction": "Ask ", "input": "about", "output": "tell\n", "history": []}


@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_conversations_as_published(zipped: str, tmp_path: Path) -> None:
    rows = [
        {"conversations": [" Ask", "tell "], "source": "stackexchange"},
        {"conversations": ["один", "二", "three", "four"], "source": "multi_turn"},
    ]
    write(tmp_path, f"train.jsonl{zipped}", rows)
    first, second = read(Lima(), tmp_path)
    assert (first.id, first.input) == ("0", "Ask")
    assert turns(Lima(), first) == [("user", "Ask"), ("assistant", "tell")]
    assert turns(Lima(), second) == [
        ("user", "один"),
        ("assistant", "二"),
        ("user", "three"),
        ("assistant", "four"),
    ]


def test_a_last_question_without_an_answer_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "train.jsonl", [{"conversations": ["a", "b", "c"]}])
    (sample,) = read(Lima(), tmp_path)
    assert turns(Lima(), sample) == [("user", "a"), ("assistant", "b")]


@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_conversations_as_passed_on(zipped: str, tmp_path: Path) -> None:
    rows = [PASSED_ON, {**PASSED_ON, "input": "", "history": [["a", "b"], ["c", "d"]]}]
    write(tmp_path, f"lima.json{zipped}", rows)
    first, second = read(Lima(), tmp_path)
    assert turns(Lima(), first) == [("user", "Ask\n\nabout"), ("assistant", "tell")]
    assert [text for _, text in turns(Lima(), second)] == ["a", "b", "c", "d", "Ask", "tell"]
    assert second.input == "a"


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("train.jsonl", [{"turns": []}], "line 1 of .* has no key 'conversations'"),
        ("train.jsonl", [{"conversations": []}], r"'conversations' of line 1 of .* is \[\]"),
        (
            "train.jsonl",
            [{"conversations": ["a"]}],
            "line 1 of .*: 'conversations' has no answer",
        ),
        (
            "train.jsonl",
            [{"conversations": ["a", 1]}],
            r"'conversations' of line 1 of .* is \[.a., 1\]; it must be",
        ),
        ("lima.json", [], r"lima.json is \[\]; it must be a list of one or more"),
        ("lima.json", [{"instruction": "a"}], r"\[0\] of .*lima.json has no key 'input'"),
        (
            "lima.json",
            [{k: v for k, v in PASSED_ON.items() if k != "output"}],
            r"\[0\] of .*lima.json has no key 'output'",
        ),
        (
            "lima.json",
            [{**PASSED_ON, "history": [[1, 2]]}],
            r"\[0\].history\[0\] of .* is \[1, 2\]",
        ),
    ],
)
def test_malformed_files_are_named(name: str, rows: Any, message: str, tmp_path: Path) -> None:
    write(tmp_path, name, rows)
    with pytest.raises(DataError, match=message):
        read(Lima(), tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.jsonl does not exist"):
        read(Lima(), tmp_path)


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "train.jsonl", [{"conversations": ["a", "\udc00"]}])
    with pytest.raises(DataError, match=r"line 1 of .* is not valid JSON"):
        read(Lima(), tmp_path)


def test_nothing_is_tested_on() -> None:
    assert Lima.splits == ("train",)

from pathlib import Path
from typing import Any

import pytest

from benchbench.data.find import digest_samples, find_data
from benchbench.errors import DataError
from benchbench_tasks.sharegpt import SPLIT, WHOLE, Sharegpt
from tests.toys.corpora import read, turns, write


def shared(*said: tuple[str, str]) -> dict[str, Any]:
    return {"id": "x", "conversations": [{"from": who, "value": what} for who, what in said]}


ONE = shared(("human", "a"), ("gpt", "b"))


@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_turns_become_messages(zipped: str, tmp_path: Path) -> None:
    rows = [
        shared(("human", " вопрос"), ("gpt", "答え\n"), ("human", "more"), ("gpt", "")),
        shared(("user", "a"), ("chatgpt", "b")),
    ]
    write(tmp_path, f"{SPLIT}{zipped}", rows)
    first, second = read(Sharegpt(), tmp_path)
    assert (first.id, first.input) == ("0", "вопрос")
    assert turns(Sharegpt(), first) == [
        ("user", "вопрос"),
        ("assistant", "答え"),
        ("user", "more"),
        ("assistant", ""),
    ]
    assert turns(Sharegpt(), second) == [("user", "a"), ("assistant", "b")]
    assert len(digest_samples([first, second])) == 64


@pytest.mark.parametrize(
    "left_out",
    [
        shared(),
        shared(("human", "a")),
        shared(("gpt", "a"), ("human", "b")),
        shared(("human", "a"), ("human", "b")),
        shared(("human", "a"), ("gpt", "b"), ("gpt", "c"), ("gpt", "d")),
        shared(("system", "s"), ("human", "a"), ("gpt", "b")),
        shared(("human", "a"), ("bing", "b")),
    ],
)
def test_what_does_not_take_turns_is_left_out(left_out: Any, tmp_path: Path) -> None:
    write(tmp_path, SPLIT, [left_out, ONE])
    (sample,) = read(Sharegpt(), tmp_path)
    assert (sample.id, sample.input) == ("1", "a")


def test_a_last_question_without_an_answer_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, SPLIT, [shared(("human", "a"), ("gpt", "b"), ("human", "c"))])
    (sample,) = read(Sharegpt(), tmp_path)
    assert turns(Sharegpt(), sample) == [("user", "a"), ("assistant", "b")]


def test_whole_conversations_are_read_only_where_there_are_no_parts(tmp_path: Path) -> None:
    for name, word in zip(WHOLE, ("first", "second"), strict=True):
        write(tmp_path, name, [shared(("human", word), ("gpt", "b"))])
    samples = read(Sharegpt(), tmp_path)
    assert [(s.id, s.input) for s in samples] == [("0", "first"), ("1", "second")]
    write(tmp_path, f"{SPLIT}.gz", [ONE])
    assert [s.input for s in read(Sharegpt(), tmp_path)] == ["a"]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], rf"{SPLIT} is \[\]; it must be a list of one or more"),
        (ONE, f"{SPLIT} is {{.*; it must be a valid array"),
        ([ONE, {"id": "y"}], rf"\[1\] of .*{SPLIT} has no key 'conversations'"),
        ([{"conversations": ["a"]}], r"\[0\].conversations\[0\] of .* is .a.;"),
        (
            [{"conversations": [{"from": "human", "text": "a"}]}],
            r"\[0\].conversations\[0\] of .* has no key 'value'",
        ),
        (
            [shared(("human", "a"), ("function_call", "b"))],
            r"'from' of \[0\].conversations\[1\] of .* is .function_call.; it must be 'human',",
        ),
    ],
)
def test_malformed_files_are_named(rows: Any, text: str, tmp_path: Path) -> None:
    write(tmp_path, SPLIT, rows)
    with pytest.raises(DataError, match=text):
        read(Sharegpt(), tmp_path)


@pytest.mark.parametrize(("there", "missing"), [((), 0), (WHOLE[:1], 1)])
def test_a_missing_file_is_named(there: tuple[str, ...], missing: int, tmp_path: Path) -> None:
    for name in there:
        write(tmp_path, name, [ONE])
    with pytest.raises(DataError, match=f"{WHOLE[missing]} does not exist"):
        read(Sharegpt(), tmp_path)


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    (tmp_path / SPLIT).write_text('[{"conversations": [{"from": "human", "value": "\\udfff"}]}]')
    with pytest.raises(DataError, match=f"{SPLIT} is not valid JSON"):
        read(Sharegpt(), tmp_path)


def test_the_embedded_sample_has_conversations_of_several_turns() -> None:
    samples = read(Sharegpt(), find_data(Sharegpt(), None).folder)
    assert len({s.id for s in samples}) == len(samples) == 12
    assert {len(turns(Sharegpt(), s)) for s in samples} == {2, 4, 6}
    assert all(text for s in samples for _, text in turns(Sharegpt(), s))

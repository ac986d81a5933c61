from pathlib import Path
from typing import Any

import pytest

from benchbench.errors import DataError
from benchbench_tasks.oasst1 import FILE, Oasst1
from tests.toys.corpora import read, turns, write


def message(name: str, parent: str | None = None, quality: Any = None, **more: Any) -> Any:
    """A message whose author its name tells: ``p`` or ``a`` and anything."""
    role = "prompter" if name.startswith("p") else "assistant"
    labels = None if quality is None else {"quality": {"value": quality, "count": 3}}
    row = {"message_id": name, "parent_id": parent, "role": role, "text": f" {name}\n"}
    return {**row, "deleted": False, "labels": labels, **more}


TREE = [
    message("p1"),
    message("a1", "p1", 0.2),
    message("a2", "p1", 0.9),
    message("p2", "a2", 0.5),
    message("p3", "a2", 0.7),
    message("a3", "p2", 0.1),
    message("a4", "p3", 0.4),
    message("a5", "p3", 0.3),
]


def ways(folder: Path, rows: list[Any], replies: int = 0) -> list[str]:
    write(folder, FILE, rows)
    task = Oasst1(replies=replies)
    samples = read(task, folder)
    for sample in samples:
        roles = [role for role, _ in turns(task, sample)]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert sample.id == turns(task, sample)[-1][1]
        assert sample.input == turns(task, sample)[0][1]
    return ["-".join(text for _, text in turns(task, sample)) for sample in samples]


def test_one_sample_for_each_way_to_an_answer_without_a_reply(tmp_path: Path) -> None:
    assert ways(tmp_path, TREE) == ["p1-a1", "p1-a2-p2-a3", "p1-a2-p3-a4", "p1-a2-p3-a5"]


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (1, ["p1-a2-p3-a4"]),
        (2, ["p1-a2-p3-a4", "p1-a2-p3-a5", "p1-a2-p2-a3", "p1-a1"]),
    ],
)
def test_only_the_replies_rated_best_are_followed(
    replies: int, expected: list[str], tmp_path: Path
) -> None:
    assert ways(tmp_path, TREE, replies) == expected


def test_labels_may_be_those_of_the_hub_s_table(tmp_path: Path) -> None:
    def table(row: Any) -> Any:
        if not row["labels"]:
            return row
        value = row["labels"]["quality"]["value"]
        labels = {"name": ["spam", "quality"], "value": [0.0, value], "count": [3, 3]}
        return {**row, "labels": labels}

    assert ways(tmp_path, [table(row) for row in TREE], 1) == ["p1-a2-p3-a4"]


def test_what_nobody_rated_comes_last(tmp_path: Path) -> None:
    labels = [None, {}, {"spam": {"value": 1.0}}, {"name": ["spam"], "value": [1.0]}]
    unrated = [message(f"a{i}", "p", labels=label) for i, label in enumerate(labels)]
    assert ways(tmp_path, [message("p"), *unrated, message("ab", "p", 0.1)], 1) == ["p-ab"]
    assert ways(tmp_path, [message("p"), *unrated], 1) == ["p-a0"]


def test_what_was_deleted_ends_a_way_without_a_sample(tmp_path: Path) -> None:
    rows = [
        message("p1"),
        message("a1", "p1", deleted=True),
        message("p2", "a1"),
        message("a2", "p2"),
        message("a3", "p1"),
        message("p3", "a3", deleted=True),
        message("a4", "p1"),
        message("p4", "a4"),
        message("a5", "p1"),
        message("pdeleted", deleted=True),
        message("a6", "pdeleted"),
    ]
    # a3 and a4 were replied to, so they end no way, though no reply leads to an answer.
    assert ways(tmp_path, rows) == ["p1-a5"]


def test_messages_may_come_in_any_order_and_without_a_parent(tmp_path: Path) -> None:
    assert ways(tmp_path, TREE[::-1]) == ["p1-a2-p3-a5", "p1-a2-p3-a4", "p1-a2-p2-a3", "p1-a1"]
    assert ways(tmp_path, [*TREE[:2], message("a9", "elsewhere")]) == ["p1-a1"]


def test_other_scripts_and_deep_trees(tmp_path: Path) -> None:
    rows = [message("p0", text="вопрос"), message("a0", "p0", text="答え")]
    write(tmp_path, f"{FILE}.gz", rows)
    (sample,) = read(Oasst1(), tmp_path)
    assert turns(Oasst1(), sample) == [("user", "вопрос"), ("assistant", "答え")]
    deep = [message(f"{'ap'[i % 2]}{i}", f"{'pa'[i % 2]}{i - 1}") for i in range(2, 4000)]
    (way,) = ways(tmp_path, [message("p1"), *deep, message("a4000", "p3999")])
    assert way.count("-") == 3999


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([message("p"), message("p")], "line 2 of .* has the message_id of an earlier"),
        ([message("p", role="system")], "'role' of line 1 of .* is .system.; it must be"),
        ([message("p", text=None)], "'text' of line 1 of .* is null"),
        ([{"message_id": "p", "role": "prompter"}], "line 1 of .* has no key 'text'"),
        ([{"role": "prompter", "text": "x"}], "line 1 .* has no key 'message_id'"),
        ([["p"]], r"line 1 of .* is \[.p.\]; it must be an object"),
        ([message("p", parent=7)], "'parent_id' of line 1 of .* is 7; it must be a valid string"),
        ([message("p", quality="high")], "'value' of labels.quality of line 1 of .* is .high.;"),
        ([], f"{FILE} is empty"),
        ([message("p", text="\ud83d")], "line 1 of .* is not valid JSON"),
    ],
)
def test_malformed_files_are_named(rows: Any, text: str, tmp_path: Path) -> None:
    write(tmp_path, FILE, rows)
    with pytest.raises(DataError, match=text):
        read(Oasst1(), tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{FILE} does not exist"):
        read(Oasst1(), tmp_path)


def test_a_number_of_replies_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="replies is -1; it must be 0"):
        Oasst1(replies=-1)

"""Files of Super-NI that are missing or malformed: each is named, with its key."""

from pathlib import Path
from typing import Any

import pytest

from benchbench.errors import DataError
from benchbench_tasks.super_ni import SuperNI
from tests.toys.super_ni import toy, write


@pytest.mark.parametrize(
    ("record", "message"),
    [
        *(
            (toy(**{name: None}), f"a.json has no key '{name}'")
            for name in ("Definition", "Categories", "Positive Examples", "Instances")
        ),
        (toy(Definition=[]), r"'Definition' of .*a.json is \[\]; it must be a string, or a list"),
        (toy(Definition=7), "'Definition' of .*a.json is 7; it must be a string, or a list"),
        (toy(Categories=[None]), r"'Categories' of .*a.json is \[null\]; it must be"),
        (toy(Instances=[]), r"'Instances' of .*a.json is \[\]; it must be a list of one or more"),
        (toy(Instances={}), "'Instances' of .*a.json is {}; it must be a valid array"),
        (toy(Instances=["x"]), r'Instances\[0\] of .*a.json is "x"; it must be an object'),
        (
            toy(Instances=[*toy()["Instances"], {"id": "x", "output": ["y"]}]),
            r"Instances\[3\] of .*a.json has no key 'input'",
        ),
        (
            toy(Instances=[{"id": "x", "input": "y"}]),
            r"Instances\[0\] of .*a.json has no key 'output'",
        ),
        (
            toy(Instances=[{"id": "x", "input": ["y"], "output": "z"}]),
            r"'input' of Instances\[0\] of .*a.json is \[.y.\]; it must be a valid string",
        ),
        (
            toy(Instances=[{"id": "x", "input": "y", "output": [1]}]),
            r"'output' of Instances\[0\] of .*a.json is \[1\]; it must be a string, or a list",
        ),
        (
            toy(Instances=[{"id": "x", "input": "y", "output": []}]),
            r"'output' of Instances\[0\] of .*a.json is \[\]; it must be",
        ),
        (
            toy(**{"Positive Examples": [{"input": "x"}]}),
            r"Positive Examples\[0\] of .*a.json has no key 'output'",
        ),
        (["not", "a", "task"], r"a.json is \[.*\]; it must be an object"),
    ],
)
def test_a_malformed_task_is_named_with_its_key(tmp_path: Path, record: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(SuperNI().samples("test", write(tmp_path, a=record)))


def test_a_truncated_task_is_named(tmp_path: Path) -> None:
    data = write(tmp_path, a=toy())
    path = tmp_path / "tasks" / "a.json"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=f"{path} is not valid JSON"):
        list(SuperNI().samples("test", data))


def test_a_missing_task_is_named(tmp_path: Path) -> None:
    data = write(tmp_path, a=toy())
    (tmp_path / "tasks" / "a.json").unlink()
    with pytest.raises(DataError, match=r"tasks/a\.json does not exist; get the data set again"):
        list(SuperNI().samples("test", data))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("\n \n", "test_tasks.txt is empty; it must hold one name a line"),
        ("a\nb\na\n", "test_tasks.txt names 'a' more than once"),
        (None, "test_tasks.txt does not exist"),
    ],
)
def test_a_wrong_split_is_named(tmp_path: Path, split: str | None, message: str) -> None:
    data = write(tmp_path, a=toy(), b=toy())
    path = tmp_path / "splits" / "default" / "test_tasks.txt"
    if split is None:
        path.unlink()
    else:
        path.write_text(split, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list(SuperNI().samples("test", data))

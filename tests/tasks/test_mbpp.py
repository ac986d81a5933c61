import json
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchbench import Data, Sample, sandbox
from benchbench.data.find import find_data
from benchbench.errors import DataError
from benchbench_tasks.mbpp import MBPP

FULL, DOCSTRING, CHAT = MBPP.protocols.values()
IDS = (2, 3, 4, 10, 11, 510, 511, 600, 601, 974)


def record(number: int, **changes: Any) -> dict[str, Any]:
    """A task as released; a change to None takes the key away."""
    made = {
        "text": f"Write a function to add {number}.",
        "code": f"def add(x):\r\n    return x + {number}\r\n",
        "task_id": number,
        "test_setup_code": "",
        "test_list": [f"assert add({i}) == {i + number}" for i in range(3)],
        "challenge_test_list": ["assert False"],
    }
    return {k: v for k, v in (made | changes).items() if v is not None}


def checked(number: int, **changes: Any) -> dict[str, Any]:
    """A task of the sanitized file."""
    made = {
        "source_file": "x.ipynb",
        "task_id": number,
        "prompt": f"Write a function to add exactly {number}.",
        "code": f"def add(x):\n  return x + {number}",
        "test_imports": [],
        "test_list": [f"assert add(1) == {number + 1}"],
    }
    return {k: v for k, v in (made | changes).items() if v is not None}


def write(folder: Path, *records: Any) -> Data:
    (folder / "mbpp.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
    return Data(name="mbpp", folder=folder, source="folder")


def write_sanitized(folder: Path, *records: Any) -> Data:
    (folder / "sanitized-mbpp.json").write_text(json.dumps(records), "utf-8")
    return Data(name="mbpp", folder=folder, source="folder")


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return next(MBPP().samples("test", write(tmp_path, *map(record, IDS))))


def prompt(sample: Sample, protocol: Any) -> list[str]:
    messages = MBPP().prompt(sample, protocol, lambda _: True)
    assert [message.role for message in messages] == ["user", "assistant"][: len(messages)]
    return [message.content for message in messages]


def score(sample: Sample, *completions: str) -> dict[str, float]:
    task = MBPP()
    return dict(task.score(sample, [task.extract(each) for each in completions]))


def test_splits_are_the_published_ids_in_their_order(tmp_path: Path) -> None:
    data = write(tmp_path, *map(record, reversed(IDS)))
    assert [each.id for each in MBPP().samples("test", data)] == ["mbpp/11", "mbpp/510"]
    assert [each.id for each in MBPP().samples("train", data)] == ["mbpp/601", "mbpp/974"]


def test_the_sanitized_tasks_have_their_own_words_and_tests(tmp_path: Path) -> None:
    data = write_sanitized(tmp_path, *map(checked, IDS))
    task = MBPP(sanitized=True)
    first, _ = task.samples("test", data)
    assert first.input == "Write a function to add exactly 11."
    assert first.context["tests"] == ("assert add(1) == 12",)
    assert [each.id for each in task.samples("train", data)] == ["mbpp/601", "mbpp/974"]


SHOT = """\
You are an expert Python programmer, and here is your task: Write a function to add {0}. \
Your code should pass these tests:

assert add(0) == {0}
assert add(1) == {1}
assert add(2) == {2}
[BEGIN]
"""


def shot(number: int) -> str:
    return SHOT.format(number, number + 1, number + 2)


def test_the_prompt_of_the_paper(sample: Sample) -> None:
    shown = [f"{shot(n)}def add(x):\n    return x + {n}\n[DONE]\n\n" for n in (2, 3, 4)]
    assert prompt(sample, FULL) == ["".join(shown) + shot(11)]
    assert FULL.generation.stop == ("[DONE]",)


def test_the_prompt_of_bigcode(sample: Sample) -> None:
    content = '"""\nWrite a function to add 11.\nassert add(0) == 11\n"""\n'
    assert prompt(sample, DOCSTRING) == [content]


def test_where_it_is_asked_for_in_words_the_answer_begins_in_a_fence(sample: Sample) -> None:
    asked = shot(11).removesuffix("\n[BEGIN]\n")
    assert prompt(sample, CHAT) == [asked, "```python\n"]
    assert CHAT.generation.stop == ("\n```",)


def test_training_goes_from_text_to_code_without_examples(sample: Sample) -> None:
    question, answer = MBPP().conversation(sample, FULL, lambda _: True, Random(0))
    assert question.content == shot(11)
    assert answer.content == "def add(x):\n    return x + 11"
    assert (question.role, answer.role) == ("user", "assistant")


@pytest.mark.parametrize(
    ("completion", "rate"),
    [
        ("def add(x):\n    return x + 11", 1.0),
        ("def add(x):\r\n    return x + 11\r\n", 1.0),
        ("def add(x): return 11", 0.0),  # passes the first test only
        ("", 0.0),
        ("Sure! Here is the code.", 0.0),
        ("```python\ndef add(x):\n    return x + 11\n```", 0.0),
        ("def add(число):\n    return число + 11", 1.0),
        ("関数", 0.0),
        ("import sys\nsys.exit(0)", 0.0),
        ("def add(x):\n    import os; os._exit(0)", 0.0),
    ],
)
def test_completions(sample: Sample, completion: str, rate: float) -> None:
    assert score(sample, completion) == {"pass@1": rate}


def test_a_completion_of_10_mb_is_scored_in_seconds(sample: Sample) -> None:
    started = time.monotonic()
    right = "def add(x): return x + 11\n"
    assert score(sample, right + "# x\n" * 2_500_000) == {"pass@1": 1.0}
    assert score(sample, "x " * 5_000_000) == {"pass@1": 0.0}
    assert time.monotonic() - started < 20


def test_ten_completions_give_pass_at_10(sample: Sample) -> None:
    right = "def add(x): return x + 11"
    assert score(sample, right, *[""] * 9) == pytest.approx({"pass@1": 0.1, "pass@10": 1.0})


def test_a_set_up_may_use_the_completions_classes(tmp_path: Path) -> None:
    changes = {
        "code": "class Node:\n    n = 1\ndef get(node):\n    return node.n",
        "test_setup_code": "node = Node()\r\n",
        "test_list": ["assert get(node) == 1"],
    }
    data = write(tmp_path, *map(record, (2, 3, 4)), record(11, **changes))
    (made,) = MBPP().samples("test", data)
    assert score(made, made.targets[0]) == {"pass@1": 1.0}


def test_sanitized_tests_bring_their_imports(tmp_path: Path) -> None:
    changes = {"test_imports": ["import math"], "test_list": ["assert add(1) == math.floor(12.5)"]}
    data = write_sanitized(tmp_path, *map(checked, (2, 3, 4)), checked(11, **changes))
    (made,) = MBPP(sanitized=True).samples("test", data)
    assert score(made, made.targets[0]) == {"pass@1": 1.0}


@pytest.mark.parametrize("sanitized", [False, True])
def test_the_sample_that_comes_with_it_is_solvable(sanitized: bool) -> None:
    task, data = MBPP(sanitized=sanitized), find_data(MBPP, None)
    samples = [each for split in ("test", "train") for each in task.samples(split, data)]  # type: ignore[arg-type]
    assert len(samples) == (6 if sanitized else 22)
    assert all(score(each, each.targets[0]) == {"pass@1": 1.0} for each in samples)
    assert all(score(each, "") == {"pass@1": 0.0} for each in samples)


def test_the_record_says_what_confined_the_programs() -> None:
    assert MBPP().environment() == {"sandbox": sandbox.tier()}


def test_a_limit_is_for_testing_only(tmp_path: Path) -> None:
    data = write(tmp_path, *map(record, (2, 3, 4, *range(11, 20), 601, 602)))
    task = MBPP(limit=2)
    assert len(task.select(list(task.samples("test", data)), FULL)) == 2
    assert len(list(task.samples("train", data))) == 2
    with pytest.raises(ValueError, match="limit is -1"):
        MBPP(limit=-1)
    assert MBPP.evaluation_only == ("limit",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(
            ({name: None}, rf"line 4 of .*mbpp\.jsonl has no key '{name}'")
            for name in ("text", "code", "task_id", "test_setup_code", "test_list")
        ),
        ({"task_id": "11"}, "'task_id' of line 4 of .* is .11.; it must be a valid integer"),
        ({"test_list": []}, r"'test_list' of line 4 of .* is \[\]; it must be"),
        ({"test_list": [1]}, r"'test_list' of line 4 of .* is \[1\]; it must be"),
        ({"code": ""}, "'code' of line 4 of"),
    ],
)
def test_a_malformed_task_is_named(tmp_path: Path, changes: Any, message: str) -> None:
    data = write(tmp_path, *map(record, (2, 3, 4)), record(11, **changes))
    with pytest.raises(DataError, match=message):
        list(MBPP().samples("test", data))


@pytest.mark.parametrize("sanitized", [False, True])
def test_a_missing_example_is_named(tmp_path: Path, sanitized: bool) -> None:
    data = write(tmp_path, *map(record, (2, 4, 11)))
    write_sanitized(tmp_path, *map(checked, (2, 4, 11)))
    with pytest.raises(DataError, match="has no task 3, which is an example of every prompt"):
        list(MBPP(sanitized=sanitized).samples("test", data))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({}, r"sanitized-mbpp\.json is {}; it must be a valid array"),
        ([], r"sanitized-mbpp\.json is \[\]; it must be a list of one or more"),
        ([7], r"\[0\] of .*sanitized-mbpp\.json is 7; it must be an object"),
        ([checked(2, test_imports=[1])], r"\[0\].test_imports\[0\] of .* is 1; it must be"),
        ([checked(2, prompt=None)], r"\[0\] of .*sanitized-mbpp\.json has no key 'prompt'"),
    ],
)
def test_a_malformed_sanitized_file_is_named(tmp_path: Path, records: Any, message: str) -> None:
    (tmp_path / "sanitized-mbpp.json").write_text(json.dumps(records))
    data = Data(name="mbpp", folder=tmp_path, source="folder")
    with pytest.raises(DataError, match=message):
        list(MBPP(sanitized=True).samples("test", data))


@pytest.mark.parametrize("sanitized", [False, True])
def test_a_missing_file_is_named(tmp_path: Path, sanitized: bool) -> None:
    data = Data(name="mbpp", folder=tmp_path, source="folder")
    with pytest.raises(DataError, match="does not exist; get the data set again"):
        list(MBPP(sanitized=sanitized).samples("test", data))

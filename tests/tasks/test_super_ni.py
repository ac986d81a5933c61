import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench import Sample
from benchbench_tasks.super_ni import SuperNI, draw
from tests.toys.super_ni import toy, write

DEFINITION, DEF_POS2 = SuperNI.protocols.values()


def test_samples_are_the_first_instances_of_each_test_task_in_file_order(tmp_path: Path) -> None:
    data = write(tmp_path, b=toy(4), a=toy(2), c_train=toy())
    samples = list(SuperNI(instances=3).samples("test", data))
    assert [s.id for s in samples] == ["b/toy-0", "b/toy-1", "b/toy-2", "a/toy-0", "a/toy-1"]
    assert samples[4].input == "word 1"
    assert samples[4].targets == ("answer 1", "other")
    assert samples[4].groups == {"task": "a", "category": "Word Analogy"}


def test_100_instances_are_the_default(tmp_path: Path) -> None:
    data = write(tmp_path, a=toy(101), b_train=toy(250))
    assert len(list(SuperNI().samples("test", data))) == 100
    assert len(list(SuperNI().samples("train", data))) == 100


def test_training_instances_are_the_studys_draw(tmp_path: Path) -> None:
    # As the study's ni_dataset.py: seed(42), shuffle the numbers to 199, take the first 100.
    random.seed(42)
    numbers = list(range(200))
    random.shuffle(numbers)
    data = write(tmp_path, a_train=toy(250), b_train=toy(199))
    samples = list(SuperNI().samples("train", data))
    assert [s.id for s in samples[:100]] == [f"a_train/toy-{i}" for i in numbers[:100]]
    assert [s.id for s in samples[100:]] == [f"b_train/toy-{i}" for i in range(100)]
    assert numbers[:5] == [66, 187, 101, 193, 111]


@given(st.integers(1, 500))
def test_a_draw_takes_each_of_the_first_200_instances_once(count: int) -> None:
    assert sorted(draw(count)) == list(range(min(count, 200)))


def test_fewer_training_instances_are_a_part_of_more(tmp_path: Path) -> None:
    data = write(tmp_path, a_train=toy(300))
    few, many = (list(SuperNI(train_instances=n).samples("train", data)) for n in (7, 60))
    assert few == many[:7]


@pytest.mark.parametrize("params", [{"instances": 0}, {"train_instances": 0}])
def test_numbers_below_one_are_refused(params: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="is 0; it must"):
        SuperNI(**params)


def test_training_instances_stay_out_of_the_half_for_seen_tasks() -> None:
    with pytest.raises(ValueError, match="train_instances is 101; it must lie in 1 to 100"):
        SuperNI(train_instances=101)


@pytest.mark.parametrize("ids", [[None, "x", "y"], ["x", "x", "y"], [1, 2, 3], [["x"], "y", "z"]])
def test_instances_are_numbered_where_ids_are_missing_or_repeated(
    tmp_path: Path, ids: list[Any]
) -> None:
    instances = toy()["Instances"]
    for instance, name in zip(instances, ids, strict=True):
        instance["id"] = name
    del instances[0]["id"]
    data = write(tmp_path, a=toy(Instances=instances))
    assert [s.id for s in SuperNI().samples("test", data)] == ["a/0", "a/1", "a/2"]


def test_ids_do_not_depend_on_how_many_instances_are_asked_for(tmp_path: Path) -> None:
    instances = toy()["Instances"]
    instances[2]["id"] = instances[0]["id"]
    data = write(tmp_path, a=toy(Instances=instances))
    assert next(SuperNI(instances=1).samples("test", data)).id == "a/0"


def test_strings_stand_for_lists_of_one(tmp_path: Path) -> None:
    instance = {"id": "x", "input": "in", "output": "out"}
    record = toy(Definition="Say it", Categories="One", Instances=[instance])
    (sample,) = SuperNI().samples("test", write(tmp_path, a=record))
    assert sample.targets == ("out",)
    assert sample.groups["category"] == "One"
    assert prompt(sample).startswith("Definition: Say it.\n")


def test_an_empty_output_and_other_scripts_are_kept_as_released(tmp_path: Path) -> None:
    instances = [
        {"id": "x", "input": "вход 猫", "output": ["ответ", "答え"]},
        {"id": "y", "input": "", "output": [""]},
    ]
    first, second = SuperNI().samples("test", write(tmp_path, a=toy(Instances=instances)))
    assert (first.input, first.targets) == ("вход 猫", ("ответ", "答え"))
    assert second.targets == ("",)
    assert SuperNI().target(second, random.Random(0)) == ""
    assert prompt(second).endswith("\nInput: .\nOutput: ")


def test_a_byte_order_mark_and_blank_lines_and_windows_line_ends_do_not_matter(
    tmp_path: Path,
) -> None:
    data = write(tmp_path, a=toy(1), b=toy(1))
    split = tmp_path / "splits" / "default" / "test_tasks.txt"
    split.write_bytes(b"\xef\xbb\xbfa\r\n\r\n  b  \n\n")
    path = tmp_path / "tasks" / "a.json"
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert [s.id for s in SuperNI().samples("test", data)] == ["a/toy-0", "b/toy-0"]


def always(_: str) -> bool:
    return True


def prompt(sample: Sample, protocol: Any = DEFINITION, fits: Callable[[str], bool] = always) -> str:
    (message,) = SuperNI().prompt(sample, protocol, fits)
    assert message.role == "user"
    return message.content


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return next(SuperNI().samples("test", write(tmp_path, a=toy())))


def test_the_prompt_of_the_study(sample: Sample) -> None:
    assert prompt(sample) == (
        "Definition: Say the opposite.\n\n"
        "Now complete the following example -\nInput: word 0.\nOutput: "
    )


WITH_ONE = "Definition: Say the opposite.\n\n Positive Example 1 -\nInput: hot.\n Output: cold.\n\n"
WITH_TWO = WITH_ONE + " Positive Example 2 -\nInput: big?\n Output: small!\n\n"
QUESTION = "Now complete the following example -\nInput: word 0.\nOutput: "


def test_the_prompt_of_tk_instruct(sample: Sample) -> None:
    assert prompt(sample, DEF_POS2) == WITH_TWO + QUESTION


def test_the_protocols_are_the_published_ones() -> None:
    assert list(SuperNI.protocols) == ["definition", "def-pos2"]
    assert (DEFINITION.shots, DEF_POS2.shots) == (0, 2)
    for each in (DEFINITION, DEF_POS2):
        assert (each.max_prompt_tokens, each.cut, each.form) == (1024, "right", "text")
        assert (each.generation.max_tokens, each.generation.temperature) == (128, 0.0)


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("word", "word."),
        ("  word \n", "word."),
        ("word?", "word?"),
        ("a (b)", "a (b)"),
        ("слово", "слово."),
        ("猫。", "猫。."),  # as released: only ASCII punctuation counts
        ("", "."),
    ],
)
def test_fields_are_closed_with_a_full_stop(tmp_path: Path, field: str, shown: str) -> None:
    instance = {"id": "x", "input": field, "output": ["out"]}
    record = toy(
        Definition=[field],
        Instances=[instance],
        **{"Positive Examples": [{"input": field, "output": field}]},
    )
    (sample,) = SuperNI().samples("test", write(tmp_path, a=record))
    assert prompt(sample, DEF_POS2) == (
        f"Definition: {shown}\n\n Positive Example 1 -\nInput: {shown}\n Output: {shown}\n\n"
        f"Now complete the following example -\nInput: {shown}\nOutput: "
    )


def test_an_example_is_shown_only_where_the_whole_prompt_still_fits(sample: Sample) -> None:
    for text in (WITH_ONE + QUESTION, WITH_TWO + QUESTION):
        limit = len(text)
        assert prompt(sample, DEF_POS2, lambda t, n=limit: len(t) <= n) == text
    none = "Definition: Say the opposite.\n\n" + QUESTION
    for limit in (len(none), 0):
        assert prompt(sample, DEF_POS2, lambda t, n=limit: len(t) <= n) == none
    limit = len(WITH_TWO + QUESTION) - 1
    assert prompt(sample, DEF_POS2, lambda t: len(t) <= limit) == WITH_ONE + QUESTION


def test_the_first_example_that_does_not_fit_is_the_last_one_tried(tmp_path: Path) -> None:
    examples = [{"input": "long " * 50, "output": "x"}, {"input": "y", "output": "z"}]
    data = write(tmp_path, a=toy(**{"Positive Examples": examples}))
    sample = next(SuperNI().samples("test", data))
    assert "Positive Example" not in prompt(sample, DEF_POS2, lambda t: len(t) <= 200)


def test_without_examples_there_are_none_to_show(tmp_path: Path) -> None:
    data = write(tmp_path, a=toy(**{"Positive Examples": []}))
    sample = next(SuperNI().samples("test", data))
    assert prompt(sample, DEF_POS2) == prompt(sample)


def test_a_training_target_is_one_of_the_references(sample: Sample) -> None:
    task = SuperNI()
    drawn = {task.target(sample, random.Random(i)) for i in range(20)}
    assert drawn == {"answer 0", "other"}
    assert task.target(sample, random.Random(3)) == task.target(sample, random.Random(3))


def test_scores_are_the_best_over_the_references(sample: Sample) -> None:
    assert SuperNI().score(sample, ["Other."]) == {"rouge_l": 1.0, "exact_match": 1.0}
    assert SuperNI().score(sample, ["answers 0 yes"]) == {
        "rouge_l": pytest.approx(0.8),
        "exact_match": 0.0,
    }
    assert SuperNI().score(sample, [""]) == {"rouge_l": 0.0, "exact_match": 0.0}


def test_an_answer_in_another_script_has_no_rouge(tmp_path: Path) -> None:
    instance = {"id": "x", "input": "in", "output": ["ответ"]}
    (sample,) = SuperNI().samples("test", write(tmp_path, a=toy(Instances=[instance])))
    assert SuperNI().score(sample, ["Ответ"]) == {"rouge_l": 0.0, "exact_match": 1.0}

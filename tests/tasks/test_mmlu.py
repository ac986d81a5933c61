import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbench import Data, Sample
from benchbench.data.find import find_data
from benchbench.errors import DataError
from benchbench_tasks.mmlu import CATEGORIES, CATEGORY, MMLU, SUBJECTS

FULL, FIVE_SHOT, OPEN_INSTRUCT, OPEN_INSTRUCT_FIVE = MMLU.protocols.values()


def row(n: int, letter: str = "B") -> list[str]:
    return [f"question {n}", "one", "two, too", "three", "four", letter]


def write(folder: Path, **subjects: list[list[str]]) -> Data:
    """Write test questions by subject; each subject has five worked ones."""
    for subject, rows in subjects.items():
        for split, content in (("test", rows), ("dev", [row(-n, "ABCDA"[n]) for n in range(5)])):
            path = folder / "data" / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(content)
    return Data(name="mmlu", folder=folder, source="sample")


def always(_: str) -> bool:
    return True


def prompt(sample: Sample, protocol: Any = FULL, fits: Callable[[str], bool] = always) -> list[str]:
    messages = MMLU().prompt(sample, protocol, fits)
    assert [message.role for message in messages] == ["user", "assistant"]
    return [message.content for message in messages]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    (found,) = MMLU().samples("test", write(tmp_path, college_physics=[row(1)]))
    return found


def test_a_row_becomes_a_sample(sample: Sample) -> None:
    assert (sample.id, sample.input, sample.targets) == ("college_physics/0", "question 1", ("B",))
    assert sample.choices == (" A", " B", " C", " D")
    assert sample.groups == {"subject": "college_physics", "category": "STEM"}


def test_the_57_subjects_each_have_a_category() -> None:
    counts = {name: len(subjects) for name, subjects in CATEGORIES.items()}
    assert counts == {"STEM": 18, "humanities": 13, "social sciences": 12, "other": 14}
    assert len(SUBJECTS) == len(CATEGORY) == sum(counts.values()) == 57


HEAD = "The following are multiple choice questions (with answers) about  college physics.\n\n"
OPTIONS = "\nA. one\nB. two, too\nC. three\nD. four\nAnswer:"
QUESTION = f"question 1{OPTIONS}"
SHOTS = [f"question {-n}{OPTIONS} {'ABCDA'[n]}\n\n" for n in range(5)]


@pytest.mark.parametrize("protocol", [FULL, OPEN_INSTRUCT])
def test_the_prompt_without_examples(sample: Sample, protocol: Any) -> None:
    assert prompt(sample, protocol) == [HEAD + QUESTION, "The answer is:"]


@pytest.mark.parametrize("protocol", [FIVE_SHOT, OPEN_INSTRUCT_FIVE])
def test_the_prompt_with_five_examples(sample: Sample, protocol: Any) -> None:
    assert prompt(sample, protocol) == [HEAD + "".join(SHOTS) + QUESTION, "The answer is:"]


def test_examples_are_left_out_from_the_end_until_the_prompt_and_the_stem_fit(
    sample: Sample,
) -> None:
    for count in range(6):
        content = HEAD + "".join(SHOTS[:count]) + QUESTION
        limit = len(content + "The answer is:")
        assert prompt(sample, FIVE_SHOT, lambda t, n=limit: len(t) <= n)[0] == content
    assert prompt(sample, FIVE_SHOT, lambda _: False)[0] == HEAD + QUESTION


def test_the_protocols_are_the_published_ones() -> None:
    assert list(MMLU.protocols) == ["full", "5-shot", "open-instruct", "open-instruct-5-shot"]
    assert [p.shots for p in MMLU.protocols.values()] == [0, 5, 0, 5]
    assert [p.max_prompt_tokens for p in MMLU.protocols.values()] == [None, None, 2048, 2048]
    assert {p.form for p in MMLU.protocols.values()} == {"tulu"}


@pytest.mark.parametrize(
    ("logprobs", "accuracy"),
    [
        ([-9.0, -1.0, -2.0, -3.0], 1.0),
        ([-1.0, -1.1, -2.0, -3.0], 0.0),
        ([-900.0, -800.0, -801.0, -900.0], 1.0),
        ([-1.0, -1.0, -1.0, -1.0], 0.0),  # a tie goes to the first, as in open-instruct
    ],
)
def test_the_likeliest_letter_is_the_answer(
    sample: Sample, logprobs: list[float], accuracy: float
) -> None:
    assert MMLU().score_choices(sample, logprobs) == {"accuracy": accuracy}


def test_other_scripts_quotes_and_lines_are_kept(tmp_path: Path) -> None:
    asked = ["вход 猫\nที่ไหน?", 'say "a, b"', " two", "", "四", "D"]
    (sample,) = MMLU().samples("test", write(tmp_path, virology=[asked]))
    assert prompt(sample)[0].endswith('вход 猫\nที่ไหน?\nA. say "a, b"\nB.  two\nC. \nD. 四\nAnswer:')


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (row(2)[:5], "row 2 of .*virology_test.csv has 5 columns; it must have 6"),
        ([*row(2), "x"], "row 2 of .* has 7 columns"),
        (row(2, "E"), "'answer' of row 2 of .* is .E.; it must be 'A', 'B', 'C' or 'D'"),
        (row(2, ""), "'answer' of row 2 of .* is ..; it must be"),
        (row(2, "AB"), "'answer' of row 2 of .* is .AB.; it must be"),
        (row(2, "1"), "'answer' of row 2 of .* is .1.; it must be"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, broken: list[str], message: str) -> None:
    data = write(tmp_path, virology=[row(1), broken])
    with pytest.raises(DataError, match=message):
        list(MMLU().samples("test", data))


def test_missing_worked_questions_are_an_error(tmp_path: Path) -> None:
    data = write(tmp_path, virology=[row(1)])
    (tmp_path / "data" / "dev" / "virology_dev.csv").unlink()
    with pytest.raises(DataError, match=r"virology_dev\.csv does not exist"):
        list(MMLU().samples("test", data))


def test_a_missing_subject_of_real_data_is_an_error_unless_others_are_asked_for(
    tmp_path: Path,
) -> None:
    write(tmp_path, virology=[row(1)], anatomy=[row(1)])
    data = Data(name="mmlu", folder=tmp_path, source="folder")
    with pytest.raises(DataError, match=r"has no abstract_algebra, .*subjects=anatomy\+virology"):
        list(MMLU().samples("test", data))
    both = MMLU(subjects="virology+anatomy").samples("test", data)
    assert [s.id for s in both] == ["anatomy/0", "virology/0"]
    with pytest.raises(DataError, match="has no marketing"):
        list(MMLU(subjects="virology+marketing").samples("test", data))


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no abstract_algebra"):
        list(MMLU().samples("test", Data(name="mmlu", folder=tmp_path, source="sample")))


@pytest.mark.parametrize(
    ("params", "message"),
    [({"limit": -1}, "limit is -1"), ({"subjects": "biology"}, "subjects holds 'biology'")],
)
def test_wrong_parameters_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MMLU(**params)


def test_the_limit_counts_in_each_subject(tmp_path: Path) -> None:
    data = write(tmp_path, virology=[row(n) for n in range(9)], anatomy=[row(1)])
    task = MMLU(limit=3)
    kept = task.select(list(task.samples("test", data)), FULL)
    subjects = [s.groups["subject"] for s in kept]
    assert subjects == ["anatomy", "virology", "virology", "virology"]


def test_the_embedded_sample_has_subjects_of_every_category() -> None:
    samples = list(MMLU().samples("test", find_data(MMLU, None)))
    assert {s.groups["category"] for s in samples} == set(CATEGORIES)
    assert {s.targets[0] for s in samples} == set("ABCD")
    for sample in samples:
        assert len({*sample.context["options"]}) == 4
        assert len(sample.context["shots"]) == 5

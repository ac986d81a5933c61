import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench import Data, Sample
from benchbench.data.find import find_data
from benchbench.errors import DataError
from benchbench_tasks.truthfulqa import PRIMER, TruthfulQA

FULL, OPEN_INSTRUCT = TruthfulQA.protocols.values()
QUESTION = {
    "question": "Is it so?",
    "mc1_targets": {"No.": 1, "Yes.": 0, "Always.": 0},
    "mc2_targets": {"No.": 1, "It is not.": 1, "Yes.": 0, "Always.": 0},
}


def write(folder: Path, content: Any, name: str = "mc_task.json") -> Data:
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return Data(name="truthfulqa", folder=folder, source="folder")


def read(folder: Path, **changes: Any) -> Sample:
    (sample,) = TruthfulQA().samples("test", write(folder, [{**QUESTION, **changes}]))
    return sample


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return read(tmp_path)


def test_the_answers_are_the_choices(sample: Sample) -> None:
    assert (sample.id, sample.input) == ("2021/0", "Is it so?")
    assert sample.choices == (" No.", " Yes.", " Always.", " It is not.")
    assert sample.targets == ("No.", "It is not.")


def score(sample: Sample, **probabilities: float) -> tuple[float, float]:
    """Score with a probability for each answer by its first letter."""
    logprobs = [math.log(probabilities[choice[1]]) for choice in sample.choices]
    scores = TruthfulQA().score_choices(sample, logprobs)
    assert set(scores) == {"mc1", "mc2"}
    return scores["mc1"], scores["mc2"]


def test_mc1_asks_for_the_best_answer_and_mc2_for_the_share_of_true_ones(sample: Sample) -> None:
    assert score(sample, N=0.2, I=0.1, Y=0.1, A=0.1) == (1.0, pytest.approx(0.3 / 0.5))
    # The other true answer is not the best one: mc1 does not ask for it.
    assert score(sample, N=0.1, I=0.6, Y=0.2, A=0.1) == (0.0, pytest.approx(0.7))
    # A tie is not likelier, as in the release.
    assert score(sample, N=0.1, I=0.1, Y=0.1, A=0.1) == (0.0, pytest.approx(0.5))


def test_answers_so_long_that_their_probabilities_are_0_still_have_shares(sample: Sample) -> None:
    found = TruthfulQA().score_choices(sample, [-2000.0, -2000.0 - math.log(3), -4000.0, -3000.0])
    assert found == {"mc1": 1.0, "mc2": pytest.approx(0.75)}


@given(st.lists(st.floats(-5000, 0), min_size=4, max_size=4), st.floats(-1000, 0))
def test_scores_do_not_change_when_all_answers_are_less_likely(
    logprobs: list[float], shift: float
) -> None:
    mc1 = list(QUESTION["mc1_targets"])
    mc2 = list(QUESTION["mc2_targets"])
    sample = Sample(
        id="",
        input="",
        targets=("No.", "It is not."),
        choices=tuple(f" {text}" for text in mc2),
        context={"mc1": mc1, "mc2": mc2},
    )
    scores = TruthfulQA().score_choices(sample, logprobs)
    less = TruthfulQA().score_choices(sample, [each + shift for each in logprobs])
    assert 0 <= scores["mc2"] <= 1
    assert less["mc2"] == pytest.approx(scores["mc2"], abs=1e-9)


def test_the_prompt_of_the_release(sample: Sample) -> None:
    user, stem = TruthfulQA().prompt(sample, FULL, lambda _: True)
    assert (user.role, stem.role) == ("user", "assistant")
    # In plain text, contents follow one another as they stand.
    text = user.content + stem.content + sample.choices[0]
    assert text == f"{PRIMER}Q: Is it so?\nA: No."
    assert PRIMER.count("Q: ") == PRIMER.count("\nA: ") == FULL.shots == 6
    assert PRIMER.endswith("\nA: The 1992 Olympics were held in Barcelona, Spain.\n\n")
    assert FULL.form == "text"


def test_the_prompt_of_open_instruct(sample: Sample) -> None:
    user, stem = TruthfulQA().prompt(sample, OPEN_INSTRUCT, lambda _: True)
    assert (user.content, stem.content) == (f"{PRIMER}Q: Is it so?", "A:")
    assert OPEN_INSTRUCT.form == "tulu"


def test_blank_answers_are_left_out_and_others_stripped(tmp_path: Path) -> None:
    answers = {" No ": 1, "": 1, "Yes": 0, " ": 0}
    sample = read(tmp_path, mc1_targets={"No": 1, "": 0, "Yes ": 0}, mc2_targets=answers)
    assert sample.choices == (" No", " Yes")
    assert score(sample, N=0.3, Y=0.1) == (1.0, pytest.approx(0.75))


def test_other_scripts_are_kept(tmp_path: Path) -> None:
    answers = {"いいえ。": 1, "ใช่": 0}
    sample = read(tmp_path, question="猫?", mc1_targets=answers, mc2_targets=answers)
    assert sample.choices == (" いいえ。", " ใช่")
    assert TruthfulQA().prompt(sample, FULL, lambda _: True)[0].content.endswith("\nQ: 猫?\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": " "}, r"'question' of \[0\] of .*mc_task.json is . .; it must be"),
        ({"question": None}, "'question' of .* is null"),
        ({"mc1_targets": {"Yes.": 0, "No.": 1}}, "must begin with the true answer"),
        ({"mc1_targets": {"No.": 1, "Not.": 1, "Yes.": 0}}, "and hold no other"),
        ({"mc1_targets": {"No.": 1}}, "'mc1_targets' must hold one or more true"),
        ({"mc2_targets": {"Yes.": 0, "Always.": 0}}, "'mc2_targets' must hold one or more true"),
        ({"mc2_targets": {"No.": 1, "Yes.": 2}}, "'Yes.' of .* is 2; it must be 0 or 1"),
        ({"mc2_targets": {"No.": 1, "Yes.": [0]}}, r"'Yes.' of .* is \[0\]; it must be 0 or"),
        ({"mc2_targets": {}}, "one or more true answers and false ones"),
        ({"mc2_targets": ["No."]}, r"'mc2_targets' of .* is \[.No..\]; it must be an object"),
    ],
)
def test_a_wrong_question_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, **changes)


@pytest.mark.parametrize("content", [[], {}, "x"])
def test_a_file_without_questions_is_named(tmp_path: Path, content: Any) -> None:
    with pytest.raises(
        DataError, match=r"mc_task\.json is .*; it must be a (list of one or more|valid array)"
    ):
        list(TruthfulQA().samples("test", write(tmp_path, content)))


def test_the_revision_of_2025_is_another_file(tmp_path: Path) -> None:
    data = write(tmp_path, [QUESTION], "mc_task_2025.json")
    assert [s.id for s in TruthfulQA(revision="2025").samples("test", data)] == ["2025/0"]
    with pytest.raises(DataError, match=r"mc_task\.json does not exist"):
        list(TruthfulQA().samples("test", data))


@pytest.mark.parametrize(
    ("params", "message"),
    [({"limit": -1}, "limit is -1"), ({"revision": "2024"}, "revision is '2024'; it must be 2021")],
)
def test_wrong_parameters_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TruthfulQA(**params)


def test_the_limit_takes_a_part(tmp_path: Path) -> None:
    task = TruthfulQA(limit=2)
    samples = list(task.samples("test", write(tmp_path, [QUESTION] * 5)))
    assert len(task.select(samples, FULL)) == 2


def test_the_embedded_sample_can_be_read() -> None:
    samples = list(TruthfulQA().samples("test", find_data(TruthfulQA, None)))
    assert len(samples) == 12
    for sample in samples:
        assert 0 < len(sample.targets) < len(sample.choices)

import json
import time
from pathlib import Path
from typing import Any

import pytest

from benchbench import Data, Sample
from benchbench.data.find import find_data
from benchbench.errors import DataError
from benchbench_tasks.ifeval import IFEval, loosened

(FULL,) = IFEval.protocols.values()
RECORD = {
    "key": 7,
    "prompt": "Write without commas, in bullets.",
    "instruction_id_list": ["punctuation:no_comma", "detectable_format:number_bullet_lists"],
    "kwargs": [{}, {"num_bullets": 2}],
}


def write(folder: Path, *records: Any) -> Data:
    text = "".join(f"{json.dumps(record)}\n" for record in records)
    (folder / "input_data.jsonl").write_text(text, encoding="utf-8")
    return Data(name="ifeval", folder=folder, source="folder")


def read(folder: Path, **changes: Any) -> Sample:
    (sample,) = IFEval().samples("test", write(folder, {**RECORD, **changes}))
    return sample


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return read(tmp_path)


def score(sample: Sample, completion: str) -> tuple[float, float, float, float]:
    """Return prompt strict and loose, instruction strict and loose."""
    task = IFEval()
    scores = task.score(sample, [task.extract(completion)])
    names = ("prompt_strict", "prompt_loose", "instruction_strict", "instruction_loose")
    assert set(scores) == set(names)
    strict, loose, share_strict, share_loose = (scores[name] for name in names)
    return strict, loose, share_strict, share_loose


def test_a_record_becomes_a_sample(sample: Sample) -> None:
    assert (sample.id, sample.input) == ("7", "Write without commas, in bullets.")
    assert sample.targets == tuple(RECORD["instruction_id_list"])
    assert sample.context["instructions"][1] == {
        "name": "detectable_format:number_bullet_lists",
        "arguments": {"num_bullets": 2},
    }


def test_the_prompt_is_the_input_alone(sample: Sample) -> None:
    (message,) = IFEval().prompt(sample, FULL, lambda _: True)
    assert (message.role, message.content) == ("user", sample.input)
    assert (FULL.form, FULL.generation.max_tokens, FULL.generation.temperature) == ("tulu", 1280, 0)


@pytest.mark.parametrize(
    ("completion", "scores"),
    [
        ("- a\n- b", (1.0, 1.0, 1.0, 1.0)),
        ("- a, b", (0.0, 0.0, 0.0, 0.0)),
        ("- a\n- b, c", (0.0, 1.0, 0.5, 1.0)),  # each instruction by a variant of its own
        ("Well, yes:\n- a\n- b", (0.0, 1.0, 0.5, 1.0)),
        ("- a\n- b\nSo, bye", (0.0, 1.0, 0.5, 1.0)),
        ("Well, yes:\n- a\n- b\nSo, bye", (0.0, 1.0, 0.5, 1.0)),
        ("* a\n- b\n- c", (0.0, 1.0, 0.5, 1.0)),
        ("", (0.0, 0.0, 0.0, 0.0)),  # an empty answer follows nothing, though it has no comma
        (" \n\n ", (0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_scores(sample: Sample, completion: str, scores: tuple[float, ...]) -> None:
    assert score(sample, completion) == scores


def test_the_loose_variants_are_those_of_the_release() -> None:
    assert set(loosened("*one*\n two \nthree*")) == {
        "*one*\n two \nthree*",
        "two \nthree*",
        "*one*\n two",
        "two",
        "one\n two \nthree",
        "two \nthree",
        "one\n two",
    }
    assert loosened("one") == ["one", ""]


def test_white_space_is_kept_for_the_checks(tmp_path: Path) -> None:
    assert IFEval().extract(" \n\none ") == " \n\none "
    first = {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "one"}
    sample = read(
        tmp_path,
        instruction_id_list=["length_constraints:nth_paragraph_first_word"],
        kwargs=[first],
    )
    assert score(sample, " \n\none ")[0] == 0.0


def test_arguments_that_an_instruction_does_not_have_are_left_out(tmp_path: Path) -> None:
    # Copies of the data name every argument of every instruction, as null where it has none.
    kwargs = [{"num_bullets": None}, {"num_bullets": 2, "keywords": None}]
    assert read(tmp_path, kwargs=kwargs) == read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "7"}, "'key' of line 1 of .*input_data.jsonl is .7.; it must be a valid integer"),
        ({"prompt": ""}, "'prompt' of line 1 of .* it must be a text, not blank"),
        ({"kwargs": [{}]}, "line 1 of .*: 2 instruction_id_list and 1 kwargs; it"),
        (
            {"instruction_id_list": [], "kwargs": []},
            r"'instruction_id_list' of .* is \[\]; it must be a list",
        ),
        (
            {"instruction_id_list": [["x"], {}]},
            r"instruction_id_list\[0\] of .* is \[.x.\]; it must be 'keywords:",
        ),
        (
            {"instruction_id_list": ["x", "y"]},
            r"instruction_id_list\[0\] of line 1 of .* is .x.; it must be 'keyw",
        ),
        ({"kwargs": [{}, {}]}, r"kwargs\[1\] of line 1 of .* has no key 'num_bullets'"),
        ({"kwargs": [{}, None]}, r"kwargs\[1\] of line 1 of .* is null"),
        (
            {"kwargs": [{}, {"num_bullets": "2"}]},
            r"'num_bullets' of kwargs\[1\] .* is .2.; it must",
        ),
        (
            {"kwargs": [{}, {"num_bullets": True}]},
            "'num_bullets' of .* is true; it must be a valid",
        ),
        ({"kwargs": [{}, {"num_bullets": -1}]}, "'num_bullets' of .* is -1; it must be 0 or more"),
    ],
)
def test_a_wrong_record_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, **changes)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "length_constraints:number_words",
            {"num_words": 3, "relation": "at most"},
            "'relation' of .* is .at most.; it must be 'less than' or 'at least'",
        ),
        ("keywords:existence", {"keywords": []}, r"'keywords' of .* is \[\]; it must"),
        (
            "keywords:existence",
            {"keywords": ["a", " "]},
            "'keywords' of .*; it must be without blanks",
        ),
        ("keywords:existence", {"keywords": 3}, "'keywords' of .* is 3; it must be a string, or"),
        (
            "startend:end_checker",
            {"end_phrase": " "},
            "'end_phrase' of .*; it must be a text, not blank",
        ),
    ],
)
def test_a_wrong_argument_is_named(
    tmp_path: Path, name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, instruction_id_list=[name], kwargs=[arguments])


def test_a_negative_limit_is_refused_and_another_takes_a_part(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="limit is -1"):
        IFEval(limit=-1)
    task = IFEval(limit=2)
    data = write(tmp_path, *({**RECORD, "key": n} for n in range(5)))
    assert len(task.select(list(task.samples("test", data)), FULL)) == 2


ANSWERS = {
    "1": "Rain falls on the harbour. Boats rock.",
    "2": "- *Saw*\n- *Plane*\n- Hammer",
    "3": "Yeast eats sugar and gives off gas, and the gas lifts the dough.",
    "4": "Ein Leuchtturm ist ein Turm am Meer, der den Schiffen den Weg weist.",
    "5": "our cat is lost and we are looking everywhere. thank you for your help.",
    "6": '{"title": "The Tide", "author": "A. Moor", "year": 1931}',
    "7": "Dear [name], come on [date] at [time] to [place].\nP.S. Bring cake.",
    "8": "<<The bridge>>\nIt stands on seven legs.",
    "9": "Crumb\n******\nThe Oven",
    "10": '"STOP AND LOOK. The stones are loose. Do not climb here."',
}


def test_the_embedded_sample_can_be_followed() -> None:
    samples = list(IFEval().samples("test", find_data(IFEval, None)))
    assert {sample.id for sample in samples} == set(ANSWERS)
    for sample in samples:
        assert score(sample, ANSWERS[sample.id]) == (1.0, 1.0, 1.0, 1.0), sample.input
        assert score(sample, "")[0] == 0.0


@pytest.mark.parametrize("piece", ["a. ", "["])
def test_an_answer_of_ten_megabytes_is_scored_in_seconds(piece: str) -> None:
    samples = IFEval().samples("test", find_data(IFEval, None))
    context = {"instructions": [each for s in samples for each in s.context["instructions"]]}
    sample = Sample(id="", input="", context=context)
    started = time.process_time()
    found = score(sample, piece * (10_000_000 // len(piece)))
    assert 0 <= found[2] <= found[3] < 1
    assert time.process_time() - started < 60

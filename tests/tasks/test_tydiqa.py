import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchbench import Data, Message, Sample
from benchbench.data.read import subset
from benchbench.errors import DataError
from benchbench_tasks.tydiqa import LANGUAGES, TyDiQA

FULL, ONE_SHOT, OPEN_INSTRUCT, NO_CONTEXT = TyDiQA.protocols.values()
DEV, TRAIN = "tydiqa-goldp-v1.1-dev.json", "tydiqa-goldp-v1.1-train.json"


def record(name: str, answers: Sequence[str] = ("an answer",), **changes: Any) -> dict[str, Any]:
    texts = [{"text": text, "answer_start": 0} for text in answers]
    asked = {"id": name, "question": f"{name}?", "answers": texts, **changes}
    return {"paragraphs": [{"context": f"Passage of {name}.", "qas": [asked]}]}


def write(folder: Path, path: str, *articles: Any) -> Data:
    (folder / path).parent.mkdir(exist_ok=True)
    content = {"version": "toy", "data": articles}
    (folder / path).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return Data(name="tydiqa", folder=folder, source="folder")


def ids(part: str, count: int, languages: Sequence[str] = tuple(LANGUAGES)) -> list[str]:
    return [f"{language}-{part}-{i}" for language in languages for i in range(count)]


@pytest.fixture
def whole(tmp_path: Path) -> Data:
    """Two questions of each language, three to train on, mixed as in the released files."""
    write(tmp_path, DEV, *map(record, ids("dev", 2)[::-1]))
    return write(tmp_path, TRAIN, *map(record, ids("train", 3)))


def read(data: Data, split: str = "test", **params: Any) -> list[Sample]:
    return list(TyDiQA(**params).samples(split, data))


def test_samples_come_by_language_each_in_the_order_of_the_file(whole: Data) -> None:
    samples = read(whole)
    assert [s.id for s in samples[:4]] == [
        "arabic-dev-1", "arabic-dev-0", "bengali-dev-1", "bengali-dev-0",
    ]  # fmt: skip
    assert len(samples) == 18
    first = samples[0]
    assert (first.input, first.targets) == ("arabic-dev-1?", ("an answer",))
    assert first.groups == {"language": "arabic"}
    assert first.context["passage"] == "Passage of arabic-dev-1."
    assert first.context["example"]["question"].startswith("arabic-train-")


def test_files_of_one_language_are_told_by_name(tmp_path: Path) -> None:
    for language, words in LANGUAGES.items():
        name = f"tydiqa-goldp-v1.1-dev/tydiqa.goldp.{words.code}.dev.json"
        write(tmp_path, name, record(f"{language}-x"))
    name = "tydiqa-goldp-v1.1-train/tydiqa.en.train.json"
    data = write(tmp_path, name, record("7"), record("7", ["x"]))
    assert [s.id for s in read(data)] == [f"{language}-x" for language in sorted(LANGUAGES)]
    samples = read(data, "train", languages="english")
    assert [(s.id, s.targets) for s in samples] == [
        ("english/train/0", ("an answer",)),
        ("english/train/1", ("x",)),
    ]


def test_the_test_needs_no_training_questions_unless_one_is_shown(tmp_path: Path) -> None:
    samples = read(write(tmp_path, DEV, *map(record, ids("dev", 1))))
    for protocol in (FULL, NO_CONTEXT):
        assert TyDiQA().select(samples, protocol) == samples
    for protocol in (ONE_SHOT, OPEN_INSTRUCT):
        with pytest.raises(DataError, match=r"no training questions to show in arabic, bengali,"):
            TyDiQA().select(samples, protocol)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    data = write(tmp_path, DEV, record("english-x"))
    with pytest.raises(DataError, match=r"has no tydiqa-goldp-v1.1-train.json; get the data"):
        read(data, "train")
    (tmp_path / DEV).unlink()
    with pytest.raises(DataError, match=r"has no tydiqa-goldp-v1.1-dev.json; get the data set"):
        read(data)


def test_training_questions_do_not_stand_in_for_missing_test_questions(whole: Data) -> None:
    (whole.folder / DEV).unlink()
    with pytest.raises(DataError, match=r"has no tydiqa-goldp-v1.1-dev.json; get the data set"):
        read(whole)


def test_real_data_must_hold_every_language_that_is_asked_for(tmp_path: Path) -> None:
    data = write(tmp_path, DEV, record("english-x"), record("telugu-x"))
    with pytest.raises(
        DataError, match=r"has no arabic, .*, swahili; .* are there: languages=english\+telugu\."
    ):
        read(data)
    assert [s.id for s in read(data, languages="telugu+english")] == ["english-x", "telugu-x"]
    assert len(read(Data(name="tydiqa", folder=tmp_path, source="sample"))) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            record("english-x", [""]),
            r"data\[1\].paragraphs\[0\].qas\[0\].answers\[0\] of .*: the answer is blank",
        ),
        (record("english-x", []), r"'answers' of data\[1\].* is \[\]; it must be a list of one"),
        (record("english-x", question=None), r"'question' of data\[1\].* is null"),
        (record("english-x", id=7), r"'id' of data\[1\].* is 7; it must be a valid string"),
        (record("klingon-x"), r"question 'klingon-x' of .*dev.json is in no known language"),
        ({"paragraphs": [{"qas": []}]}, r"data\[1\].paragraphs\[0\] .* has no key 'context'"),
        ({"paragraphs": []}, r"'paragraphs' of data\[1\] of .*dev.json is \[\]; it must"),
        ([], r"data\[1\] of .*dev.json is \[\]; it must be an"),
    ],
)
def test_a_wrong_question_is_named(tmp_path: Path, wrong: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write(tmp_path, DEV, record("english-1"), wrong))


def test_unknown_languages_and_negative_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="languages holds 'klingon'; write all, or names joined"):
        TyDiQA(languages="english+klingon")
    with pytest.raises(ValueError, match="limit is -1; it must be 0"):
        TyDiQA(limit=-1)


def test_open_instruct_draws_questions_and_then_examples_from_one_seed(tmp_path: Path) -> None:
    languages = ["arabic", "english", "swahili"]
    counts = {"arabic": 150, "english": 100, "swahili": 103}
    dev = [f"{name}-dev-{i}" for name in reversed(languages) for i in range(counts[name])]
    write(tmp_path, DEV, *map(record, dev))
    data = write(tmp_path, TRAIN, *map(record, ids("train", 50, languages)))
    # As run_eval.py: languages sorted; 100 of those with more; then an example of each.
    random.seed(42)
    expected = [
        f"{name}-dev-{i}"
        for name in languages
        for i in (random.sample(range(counts[name]), 100) if counts[name] > 100 else range(100))
    ]
    examples = {name: f"{name}-train-{random.sample(range(50), 1)[0]}?" for name in languages}
    task = TyDiQA(languages="+".join(languages))
    samples = list(task.samples("test", data))
    assert {s.groups["language"]: s.context["example"]["question"] for s in samples} == examples
    drawn = task.select(samples, OPEN_INSTRUCT)
    assert [s.id for s in drawn] == expected
    assert task.select(samples, ONE_SHOT) == samples
    few = TyDiQA(languages="all", limit=3).select(samples, OPEN_INSTRUCT)
    assert few == subset(drawn, 3, "language")


def always(_: str) -> bool:
    return True


def asked(sample: Sample, protocol: Any, fits: Any = always) -> str:
    user, stem = TyDiQA().prompt(sample, protocol, fits)
    words = LANGUAGES[sample.groups["language"]]
    assert stem == Message(role="assistant", content=words.answer)
    return user.content


def question(language: str = "english", passage: str = "A fox sleeps.", **example: str) -> Sample:
    shown = {"passage": "A cat eats.", "question": "Who eats?", "answer": "A cat", **example}
    context = {"passage": passage, "example": shown}
    groups = {"language": language}
    return Sample(id="x", input="Who sleeps?", targets=("fox",), groups=groups, context=context)


TASK = "Answer the following question based on the information in the given passage.\n\n"
EXAMPLE = "Passage: A cat eats.\nQuestion: Who eats?\nAnswer: A cat\n\n"
QUESTION = "Passage: A fox sleeps.\nQuestion: Who sleeps?\n"


def test_the_prompts_of_open_instruct() -> None:
    sample = question()
    assert asked(sample, FULL) == TASK + QUESTION
    assert asked(sample, ONE_SHOT) == asked(sample, OPEN_INSTRUCT) == TASK + EXAMPLE + QUESTION
    assert asked(sample, NO_CONTEXT) == "Answer the following question.\n\nQuestion: Who sleeps?\n"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_are_those_of_the_language(language: str) -> None:
    words = LANGUAGES[language]
    text = asked(question(language), ONE_SHOT)
    assert text == (
        f"{words.task}\n\n{words.passage} A cat eats.\n{words.question} Who eats?\n"
        f"{words.answer} A cat\n\n{words.passage} A fox sleeps.\n{words.question} Who sleeps?\n"
    )
    assert language == "english" or "Passage" not in text


def test_nothing_is_shown_in_training(whole: Data) -> None:
    samples = read(whole, "train")
    assert len(samples) == 27
    text = asked(samples[9], ONE_SHOT)
    assert text.count("Passage of") == 1
    assert samples[9].targets == ("an answer",)


def test_passages_end_after_2000_characters() -> None:
    sample = question("telugu", passage="క" * 3000)
    assert asked(sample, FULL).count("క" * 2000 + "\n") == 1
    assert "క" * 2001 not in asked(sample, FULL)


@pytest.mark.parametrize("limit", [700, 300, 250])
def test_open_instruct_shows_as_much_of_both_passages_as_fits(limit: int) -> None:
    sample = question(passage="#" * 3000)
    sample.context["example"]["passage"] = "%" * 1000
    text = asked(sample, OPEN_INSTRUCT, lambda t: len(t) <= limit)
    assert limit - 2 < len(text) <= limit
    assert text.count("#") == text.count("%")
    assert asked(sample, OPEN_INSTRUCT).count("#") == 3000


def test_where_no_passage_fits_none_is_shown() -> None:
    text = asked(question(), OPEN_INSTRUCT, lambda t: False)
    assert text.count("Passage: \n") == 2


def test_the_protocols_are_as_open_instruct_runs_tuned_models() -> None:
    assert list(TyDiQA.protocols) == ["full", "one-shot", "open-instruct", "no-context"]
    assert [each.shots for each in TyDiQA.protocols.values()] == [0, 1, 1, 0]
    for each in TyDiQA.protocols.values():
        assert (each.form, each.generation.stop) == ("tulu", ())
        assert (each.generation.max_tokens, each.generation.temperature) == (50, 0.0)
        assert each.max_prompt_tokens == (1408 if each == OPEN_INSTRUCT else None)


def test_scores_are_the_best_over_the_references() -> None:
    sample = Sample(id="x", input="", targets=("1920-luvulla", "the 1920s"))
    answer = TyDiQA().extract(" 1920s.\n")
    assert TyDiQA().score(sample, [answer]) == {"f1": 1.0, "exact_match": 1.0}
    assert TyDiQA().score(sample, ["in 1920s"]) == {"f1": pytest.approx(2 / 3), "exact_match": 0.0}
    assert TyDiQA().score(sample, [""]) == {"f1": 0.0, "exact_match": 0.0}


def test_the_embedded_sample_is_read_by_default() -> None:
    assert TyDiQA.embedded is not None
    data = Data(name="tydiqa", folder=TyDiQA.embedded, source="sample")
    for split, count in (("test", 30), ("train", 18)):
        samples = read(data, split)
        assert len(samples) == len({s.id for s in samples}) == count
        assert all(s.targets[0] in s.context["passage"] for s in samples)
    samples = read(data)
    assert len({s.groups["language"] for s in samples}) == 6
    for protocol in TyDiQA.protocols.values():
        assert TyDiQA().select(samples, protocol) == samples

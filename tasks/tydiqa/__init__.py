"""TyDi QA, gold passage: questions asked in nine languages, not translated (arXiv 2003.05002).

The prompt is open-instruct's (its eval/tydiqa/run_eval.py), its words those of the language:

    Answer the following question based on the information in the given passage.

    Passage: {passage}
    Question: {question}
    Answer: {answer}

    Passage: {passage}
    Question: {question}
"""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from benchbench import Data, Generation, HubData, Message, Protocol, Sample, Task, hookimpl
from benchbench.data import (
    DataError,
    Filled,
    Items,
    Row,
    check_limit,
    chosen,
    present,
    read_json,
    subset,
)
from benchbench.metrics import squad_f1, squad_match
from benchbench_tasks.tydiqa.languages import LANGUAGES

ADDRESS = "https://storage.googleapis.com/tydiqa/v1.1/"
STEM = "tydiqa-goldp-v1.1-"
"""How the names of the released files begin."""

DRAWN = 100
"""Questions of each language in the protocol ``open-instruct``."""

LONGEST = 2000
"""Characters of a passage that are shown; 99 of 100 have fewer in every language."""


def answers(summary: str, shots: int = 0, max_prompt_tokens: int | None = None) -> Protocol:
    """Return a protocol with the form and length that open-instruct gives to tuned models."""
    return Protocol(
        summary=summary,
        generation=Generation(max_tokens=50),
        shots=shots,
        form="tulu",
        max_prompt_tokens=max_prompt_tokens,
    )


CLOSED_BOOK = answers("All questions without their passages, no example.")
# Released: each passage is cut to 512 of the model's tokens. We can only ask whether a whole prompt
# fits, so this is room for two such passages, and 384 tokens for all else.
OPEN_INSTRUCT = answers("100 questions of each language, 1 example.", 1, 2 * 512 + 384)


def as_squad(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the hub's rows, one a question, in the release's format, in their order.

    Where an answer begins in its passage is left out: on the hub it is wrong for many.
    """
    articles = [
        {
            "title": row["title"],
            "paragraphs": [
                {
                    "context": row["context"],
                    "qas": [
                        {
                            "id": row["id"],
                            "question": row["question"],
                            "answers": [{"text": text} for text in row["answers"]["text"]],
                        }
                    ],
                }
            ],
        }
        for row in rows
    ]
    return json.dumps({"data": articles}, ensure_ascii=False)


class Answer(Row):
    """A reference."""

    text: str

    def __post_init__(self) -> None:
        if not self.text.strip():  # as in XTREME's copies of the dev questions
            raise ValueError(
                "the answer is blank, as in copies whose answers were taken out; get "
                f"{STEM}dev.json and {STEM}train.json of {ADDRESS}"
            )


class Question(Row):
    """A question with its references."""

    id: str
    question: Filled
    answers: Items[Answer]


class Paragraph(Row):
    """A passage and what is asked about it."""

    context: Filled
    qas: Items[Question]


class Article(Row):
    """Passages of one article."""

    paragraphs: Items[Paragraph]


class Squad(Row):
    """A file in SQuAD's format."""

    data: Items[Article]


@dataclass(frozen=True, kw_only=True)
class TyDiQA(Task):
    """Answer a question from a passage in its language; scored by SQuAD's F1, averaged over them.

    ``full`` shows no example, so it needs no training questions; passages end after 2,000
    characters, whatever the tokenizer. ``one-shot`` and ``open-instruct`` show a training question
    of the language: the released one where the files are the released ones. Nothing is shown when a
    model is trained.
    """

    name = "tydiqa"
    family = "multilingual"
    source = "https://arxiv.org/abs/2003.05002"
    data_set = "tydiqa"
    embedded = Path(__file__).parents[1] / "sample" / "tydiqa"
    how_to_get = f"put {STEM}dev.json and {STEM}train.json of {ADDRESS} into {{folder}}"
    hub = HubData(
        repository="google-research-datasets/tydiqa",
        revision="da78f23f9119363459acbaf46bf89426ff26c259",
        files={
            "secondary_task/train-00000-of-00001.parquet": f"{STEM}train.json",
            "secondary_task/validation-00000-of-00001.parquet": f"{STEM}dev.json",
        },
        text=as_squad,
    )
    metric = "f1"
    mean = "macro"
    cluster = "language"
    protocols = {
        "full": answers("All questions, no example."),
        "one-shot": answers("All questions, 1 example.", 1),
        "open-instruct": OPEN_INSTRUCT,
        "no-context": CLOSED_BOOK,
    }
    evaluation_only = ("limit",)

    languages: str = "all"
    """``all`` nine, or names of languages joined by ``+``."""
    limit: int = 0
    """Test samples of each language at most, those whose ids hash lowest; 0 takes all."""

    def __post_init__(self) -> None:
        chosen("languages", self.languages, tuple(LANGUAGES))
        check_limit(self.limit)

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        train = read_questions(data.folder, "train")
        dev = read_questions(data.folder, "dev") if split == "test" else {}
        part, questions = ("dev", dev) if split == "test" else ("train", train)
        if not questions:
            raise DataError(f"{data.folder} has no {STEM}{part}.json; get the data set again.")
        examples = draw_examples(dev, train)
        wanted = chosen("languages", self.languages, tuple(LANGUAGES))
        for language in present(data, "languages", wanted, questions):
            example = examples.get(language)
            for sample in questions[language]:
                yield replace(sample, context={**sample.context, "example": example})

    def select(self, samples: Sequence[Sample], protocol: Protocol) -> Sequence[Sample]:
        lacking = {s.groups["language"] for s in samples if s.context["example"] is None}
        if protocol.shots and lacking:
            raise DataError(
                f"there are no training questions to show in {', '.join(sorted(lacking))}; put "
                f"{STEM}train.json into the data set, or choose the protocol full."
            )
        if protocol == OPEN_INSTRUCT:
            samples = draw(by_language(samples), Random(42))
        return subset(samples, self.limit, "language")

    def prompt(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool]
    ) -> Sequence[Message]:
        words = LANGUAGES[sample.groups["language"]]
        question = {"question": sample.input, "passage": sample.context["passage"]}
        example = sample.context["example"] if protocol.shots else None
        closed = protocol == CLOSED_BOOK

        def ask(asked: Mapping[str, str], longest: int) -> str:
            passage = "" if closed else f"{words.passage} {asked['passage'][:longest]}\n"
            return f"{passage}{words.question} {asked['question']}\n"

        def text(longest: int) -> str:
            shown = (
                f"{ask(example, longest)}{words.answer} {example['answer']}\n\n" if example else ""
            )
            task = words.closed_book if closed else words.task
            return f"{task}\n\n{shown}{ask(question, longest)}"

        longest = LONGEST
        if protocol == OPEN_INSTRUCT:
            longest = max(len(each["passage"]) for each in (question, example) if each)
            if not fits(text(longest)):
                longest = bisect_left(range(longest), True, key=lambda n: not fits(text(n + 1)))
        return [
            Message(role="user", content=text(longest)),
            Message(role="assistant", content=words.answer),
        ]

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        return {
            "f1": squad_f1(answers[0], sample.targets),
            "exact_match": squad_match(answers[0], sample.targets),
        }


def read_questions(folder: Path, part: str) -> dict[str, list[Sample]]:
    """Read the questions of a part by language, from one file or a folder with one a language."""
    paths = sorted(folder.glob(f"{STEM}{part}.json*"))[:1]
    paths = paths or sorted(folder.glob(f"{STEM}{part}*/*.json*"))
    return by_language([sample for path in paths for sample in read_file(path, part)])


def read_file(path: Path, part: str) -> Iterator[Sample]:
    """Read the questions of a file."""
    asked = (
        (paragraph.context, question)
        for article in read_json(path, Squad).data
        for paragraph in article.paragraphs
        for question in paragraph.qas
    )
    for i, (passage, question) in enumerate(asked):
        language = language_of(question.id, path)
        # Files of one language number their questions, and some numbers come twice.
        released = question.id.startswith(f"{language}-")
        yield Sample(
            id=question.id if released else f"{language}/{part}/{i}",
            input=question.question,
            targets=tuple(answer.text for answer in question.answers),
            groups={"language": language},
            context={"passage": passage},
        )


def language_of(name: str, path: Path) -> str:
    """Return the language that a question's id begins with, or that its file is named after."""
    parts = path.name.split(".")
    for language, words in LANGUAGES.items():
        if name.startswith(f"{language}-") or words.code in parts:
            return language
    raise DataError(
        f"question {name!r} of {path} is in no known language; its id must begin with one of: "
        f"{', '.join(LANGUAGES)}."
    )


def by_language(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Return the samples of each language, in their order, the languages sorted."""
    groups = defaultdict(list)
    for sample in samples:
        groups[sample.groups["language"]].append(sample)
    return dict(sorted(groups.items()))


def draw(questions: Mapping[str, list[Sample]], random: Random) -> list[Sample]:
    """Draw 100 questions of each language, or take all where there are no more."""
    return [
        sample
        for group in questions.values()
        for sample in (random.sample(group, DRAWN) if len(group) > DRAWN else group)
    ]


def draw_examples(
    dev: Mapping[str, list[Sample]], train: Mapping[str, list[Sample]]
) -> dict[str, dict[str, str]]:
    """Draw a training question of each language that is tested, to be shown before the others."""
    random = Random(42)
    draw(dev, random)  # Released: the questions and then the examples come from one seed.
    drawn = {name: random.sample(train[name], 1)[0] for name in dev if name in train}
    return {
        name: {
            "passage": sample.context["passage"],
            "question": sample.input,
            "answer": sample.targets[0],
        }
        for name, sample in drawn.items()
    }


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [TyDiQA]

"""MMLU: multiple-choice questions on 57 subjects (arXiv 2009.03300).

The prompt is that of the release (hendrycks/test, evaluate.py), two spaces before the subject
included, between open-instruct's turns (its eval/mmlu/run_eval.py), and goes on with " A" to " D":

    The following are multiple choice questions (with answers) about  {subject}.

    {question}
    A. {option}
    B. {option}
    C. {option}
    D. {option}
    Answer:

Worked questions come before, each with its letter after "Answer:" and an empty line. Options are
shown as the files have them; the released scripts read "None", an option of ten test questions,
through pandas, and show "nan".
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchbench import Data, Generation, HubData, Message, Protocol, Sample, Task, hookimpl
from benchbench.data import Row, check_limit, chosen, present, read_rows, subset

CATEGORIES = {
    "STEM": """
        abstract_algebra astronomy college_biology college_chemistry college_computer_science
        college_mathematics college_physics computer_security conceptual_physics
        electrical_engineering elementary_mathematics high_school_biology high_school_chemistry
        high_school_computer_science high_school_mathematics high_school_physics
        high_school_statistics machine_learning
    """.split(),
    "humanities": """
        formal_logic high_school_european_history high_school_us_history high_school_world_history
        international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy
        prehistory professional_law world_religions
    """.split(),
    "social sciences": """
        econometrics high_school_geography high_school_government_and_politics
        high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality
        professional_psychology public_relations security_studies sociology us_foreign_policy
    """.split(),
    "other": """
        anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging
        management marketing medical_genetics miscellaneous nutrition professional_accounting
        professional_medicine virology
    """.split(),
}
"""The release's (its categories.py); "other" is business, health and what is left."""

CATEGORY = {subject: name for name, subjects in CATEGORIES.items() for subject in subjects}
SUBJECTS = sorted(CATEGORY)
LETTERS = "ABCD"
STEM = "The answer is:"


def ranking(summary: str, shots: int = 0, most: int | None = None) -> Protocol:
    """Return a protocol with the form that open-instruct gives to tuned models."""
    return Protocol(
        summary=summary,
        generation=Generation(max_tokens=1),
        shots=shots,
        form="tulu",
        max_prompt_tokens=most,
    )


def lettered(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the hub's rows, whose answers are numbers, as the release's CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [row["question"], *row["choices"], LETTERS[row["answer"]]] for row in rows
    )
    return text.getvalue()


class Question(Row):
    """A row of the files."""

    question: str
    a: str
    b: str
    c: str
    d: str
    answer: Literal[*LETTERS]


@dataclass(frozen=True, kw_only=True)
class MMLU(Task):
    """Answer a question by the likeliest of four letters; scored by accuracy.

    Published numbers are means over questions, and those of subjects are their macro mean. Letters
    are compared by ln p(" A") and so on, as one text each, where open-instruct takes the last token
    of each: the same for every tokenizer that has " A" as one token.
    """

    name = "mmlu"
    family = "knowledge"
    source = "https://arxiv.org/abs/2009.03300"
    data_set = "mmlu"
    embedded = Path(__file__).parent / "sample" / "mmlu"
    how_to_get = (
        "unpack https://people.eecs.berkeley.edu/~hendrycks/data.tar, which holds a folder data, "
        "into {folder}"
    )
    hub = HubData(
        repository="cais/mmlu",
        revision="c30699e8356da336a370243923dbaf21066bb9fe",
        files={
            f"all/{part}-00000-of-00001.parquet": f"data/{part}/{{subject}}_{part}.csv"
            for part in ("dev", "test")
        },
        text=lettered,
    )
    metric = "accuracy"
    chance = 0.25
    splits = ("test",)
    ranked = True
    evaluation_only = ("subjects", "limit")
    cluster = "subject"
    protocols = {
        "full": ranking("No example."),
        "5-shot": ranking("The subject's five worked questions, or as many as fit.", shots=5),
        "open-instruct": ranking("No example, within 2,048 tokens.", most=2048),
        "open-instruct-5-shot": ranking("As many of five as fit 2,048 tokens.", 5, most=2048),
    }

    subjects: str = "all"
    """Subjects joined by ``+``, e.g. ``anatomy+virology``; ``all`` is all 57."""
    limit: int = 0
    """Questions of each subject at most, those whose ids hash lowest; 0 takes all."""

    def __post_init__(self) -> None:
        check_limit(self.limit)
        chosen("subjects", self.subjects, SUBJECTS)

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        folder = data.folder / "data"
        files = (folder / "test").glob("*_test.csv*")
        there = {path.name.partition("_test.csv")[0] for path in files}
        wanted = chosen("subjects", self.subjects, SUBJECTS)
        for subject in present(data, "subjects", wanted, there):
            shots = read_questions(folder / "dev" / f"{subject}_dev.csv")
            questions = read_questions(folder / "test" / f"{subject}_test.csv")
            for i, (*asked, answer) in enumerate(questions):
                yield Sample(
                    id=f"{subject}/{i}",
                    input=asked[0],
                    targets=(answer,),
                    choices=tuple(f" {letter}" for letter in LETTERS),
                    groups={"subject": subject, "category": CATEGORY[subject]},
                    context={"options": asked[1:], "shots": shots},
                )

    def select(self, samples: Sequence[Sample], protocol: Protocol) -> Sequence[Sample]:
        return subset(samples, self.limit, key="subject")

    def prompt(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool]
    ) -> Sequence[Message]:
        subject = sample.groups["subject"].replace("_", " ")
        head = f"The following are multiple choice questions (with answers) about  {subject}.\n\n"
        shown = [
            f"{layout(*asked)} {answer}\n\n"
            for *asked, answer in sample.context["shots"][: protocol.shots]
        ]
        question = layout(sample.input, *sample.context["options"])
        while shown and not fits("".join([head, *shown, question, STEM])):
            shown.pop()
        content = "".join([head, *shown, question])
        return [Message(role="user", content=content), Message(role="assistant", content=STEM)]

    def score_choices(self, sample: Sample, logprobs: Sequence[float]) -> Mapping[str, float]:
        best = max(range(len(LETTERS)), key=lambda i: logprobs[i])
        return {"accuracy": float(LETTERS[best] == sample.targets[0])}


def layout(question: str, *options: str) -> str:
    """Return a question as the prompt shows it, open for its answer."""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True)]
    return "\n".join([question, *lines, "Answer:"])


def read_questions(path: Path) -> list[list[str]]:
    """Read rows of a question, four options and a letter."""
    return [list(vars(row).values()) for row in read_rows(path, Question)]


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [MMLU]

"""BIG-Bench Hard: 27 sets of questions that language models found hard (arXiv 2210.09261).

The prompt is open-instruct's (its eval/bbh/run_eval.py): the official file of a subset, which shows
three questions with their chains of thought, without its first two lines, and then the question:

    {what the subset is about}

    Q: {question}
    A: Let's think step by step. {chain of thought} So the answer is {answer}.

    Q: {question}
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchbench import Data, Generation, Message, Protocol, Sample, Task, hookimpl
from benchbench.data import (
    DataError,
    Filled,
    Items,
    Row,
    check_limit,
    chosen,
    present,
    read_json,
    read_text,
    subset,
)
from benchbench.metrics import same_text

SUBSETS = (
    "boolean_expressions",
    "causal_judgement",
    "date_understanding",
    "disambiguation_qa",
    "dyck_languages",
    "formal_fallacies",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "logical_deduction_three_objects",
    "movie_recommendation",
    "multistep_arithmetic_two",
    "navigate",
    "object_counting",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "sports_understanding",
    "temporal_sequences",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
    "tracking_shuffled_objects_three_objects",
    "web_of_lies",
    "word_sorting",
)

DRAWN = 40
"""Questions of each subset in the protocol ``open-instruct``."""

ANNOUNCED = re.compile(r"[t|T]he answer is ")
"""To the letter; what follows, up to the first full stop of its line, is the answer."""
CONCLUSION = "So the answer is"
"""How every chain of thought in the official prompts ends."""


def three_shot(summary: str, *stop: str) -> Protocol:
    """Return a protocol with the form and length that open-instruct gives to tuned models."""
    return Protocol(
        summary=summary, generation=Generation(max_tokens=512, stop=stop), shots=3, form="tulu"
    )


# An answer alone needs no paragraphs, and a model never told to stop would only spoil it with them.
DIRECT = three_shot("All questions, 3 examples of answers alone.", "\n\n")
OPEN_INSTRUCT = three_shot("40 questions of each subset, as open-instruct's sample.")


class Example(Row):
    """A question and its answer."""

    input: Filled
    target: Filled


class Subset(Row):
    """A file of questions."""

    examples: Items[Example]


@dataclass(frozen=True, kw_only=True)
class BBH(Task):
    """Think a hard question through; scored by the answer that is announced, averaged over subsets.

    ``exact_match`` is open-instruct's, which ignores case and punctuation, hence signs and kinds of
    brackets; ``strict_match`` heeds them, as the published accuracies do. Trap: the released sample
    of 40 cannot be had, for it depends on the order in which a file system lists names; ours takes
    them sorted.
    """

    name = "bbh"
    family = "reasoning"
    source = "https://arxiv.org/abs/2210.09261"
    data_set = "bbh"
    embedded = Path(__file__).parent / "sample" / "bbh"
    how_to_get = "run: git clone https://github.com/suzgunmirac/BIG-Bench-Hard {folder}"
    metric = "exact_match"
    chance = 0.257  # the paper's random baseline; where no options are given it is near 0
    splits = ("test",)
    evaluation_only = ("subsets", "limit")
    mean = "macro"
    cluster = "subset"
    protocols = {
        "full": three_shot("All questions, 3 examples of chains of thought."),
        "direct": DIRECT,
        "open-instruct": OPEN_INSTRUCT,
    }

    subsets: str = "all"
    """``all`` 27, or names of subsets joined by ``+``."""
    limit: int = 0
    """Samples of each subset at most, those whose ids hash lowest; 0 takes all."""

    def __post_init__(self) -> None:
        chosen("subsets", self.subsets, SUBSETS)
        check_limit(self.limit)

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        folder = data.folder / "bbh"  # so in the official repository
        folder = folder if folder.is_dir() else data.folder
        there = {path.name.partition(".")[0] for path in folder.glob("*.json*")}
        wanted = chosen("subsets", self.subsets, SUBSETS)
        for name in present(data, "subsets", wanted, there):
            shown = read_prompt(data.folder / "cot-prompts" / f"{name}.txt")
            yield from read_subset(folder / f"{name}.json", shown)

    def select(self, samples: Sequence[Sample], protocol: Protocol) -> Sequence[Sample]:
        drawn = draw(samples) if protocol == OPEN_INSTRUCT else samples
        return subset(drawn, self.limit, "subset")

    def prompt(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool]
    ) -> Sequence[Message]:
        shown = sample.context["prompt"]
        if protocol == DIRECT:
            shown = answers_alone(shown)
        return [
            Message(role="user", content=f"{shown.strip()}\n\nQ: {sample.input}"),
            Message(role="assistant", content="A:"),
        ]

    def extract(self, completion: str) -> str:
        # One expression, `ANNOUNCED(.*?)\.`, would do, but takes for ever on a long line full of
        # announcements without a full stop. Within a line the first announcement decides.
        for line in completion.split("\n"):
            if found := ANNOUNCED.search(line):
                answer, stop, _ = line[found.end() :].partition(".")
                if stop:
                    return answer.strip()
        return completion.strip()

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        answer = answers[0]
        return {
            "exact_match": same_text(answer, sample.targets),
            "strict_match": float(answer.removesuffix(".") == sample.targets[0]),
        }


def read_subset(path: Path, shown: str) -> Iterator[Sample]:
    """Read the questions of a subset, each with the demonstrations it is shown after."""
    for i, example in enumerate(read_json(path, Subset).examples):
        yield Sample(
            id=f"{path.stem}/{i}",
            input=example.input,
            targets=(example.target.strip(),),
            groups={"subset": path.stem},
            context={"prompt": shown},
        )


def read_prompt(path: Path) -> str:
    """Read the demonstrations of a subset, without the notice in the first two lines."""
    prompt = "\n".join(read_text(path).split("\n")[2:])
    shown = [part for part in prompt.split("\n\n") if part.startswith("Q:")]
    if not shown or not all("\nA:" in part and CONCLUSION in part for part in shown):
        raise DataError(
            f"{path} must hold, after two lines, questions that begin in 'Q:', each with a chain "
            f"of thought that begins in 'A:' and ends in '{CONCLUSION}'; get the file again."
        )
    return prompt


def answers_alone(prompt: str) -> str:
    """Return the demonstrations with their answers, but without the chains of thought."""

    def short(part: str) -> str:
        question, answer = part.partition("\nA:")[0], part.rpartition(CONCLUSION)[2]
        return f"{question.strip()}\nA: {answer.strip()}"

    parts = prompt.split("\n\n")
    return "\n\n".join(short(part) if part.startswith("Q:") else part for part in parts)


def draw(samples: Sequence[Sample]) -> list[Sample]:
    """Draw 40 samples of each subset, in the order of their names, all from one seed of 42."""
    random = Random(42)
    members = defaultdict(list)
    for sample in samples:
        members[sample.groups["subset"]].append(sample)
    return [
        sample
        for name in sorted(members)
        for sample in random.sample(members[name], min(DRAWN, len(members[name])))
    ]


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [BBH]

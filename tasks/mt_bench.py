"""MT-bench: 80 conversations of two turns in eight categories, compared by a judge.

The second question builds on the answer to the first, which is the model's own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchbench import Data, Generation, Message, Protocol, Sample, Task, hookimpl
from benchbench.data import DataError, Filled, Items, Row, Texts, check_limit, read_rows, subset

NEXT_TURN = "<|user|>"
"""Ends an answer, as FastChat ends it where its template's next turn begins: a model that goes on
to speak for the user is judged by what it answered."""


def tulu(summary: str, temperature: float) -> Protocol:
    """Return a protocol in Tülu's form, with FastChat's length for each answer."""
    return Protocol(
        summary=summary,
        generation=Generation(max_tokens=1024, temperature=temperature, stop=(NEXT_TURN,)),
        form="tulu",
    )


class Question(Row):
    """A row of the questions."""

    question_id: int
    category: Filled
    turns: Texts


class Choice(Row):
    """Answers, one a turn."""

    turns: Texts


class Answer(Row):
    """A row of a model's answers, of which the first choice counts."""

    question_id: int
    choices: Items[Choice]


@dataclass(frozen=True, kw_only=True)
class MTBench(Task):
    """Answer two questions that build on one another; scored by how often a judge prefers them.

    Questions are FastChat's (arXiv 2306.05685, its llm_judge). What differs from there: one
    temperature serves all categories, where FastChat takes 0.7 for writing and roleplay, 0.1 for
    stem and humanities, and 0 for the others; prompts have Tülu's form; and a judge compares whole
    conversations with another model's in both orders, where GPT-4 grades each turn from 1 to 10.
    As there, the judge sees a right answer to questions of math, reasoning and coding.
    """

    name = "mt-bench"
    family = "long-form"
    source = "https://arxiv.org/abs/2306.05685"
    data_set = "mt_bench"
    embedded = Path(__file__).parent / "sample" / "mt_bench"
    how_to_get = (
        "run: git clone https://github.com/lm-sys/FastChat, then copy its folder "
        "fastchat/llm_judge/data/mt_bench to {folder}"
    )
    splits = ("test",)
    metric = "win_rate"
    chance = 0.5
    judged = True
    evaluation_only = ("baseline", "limit")
    protocols = {
        "full": tulu("All questions, greedy.", temperature=0.0),
        "sampled": tulu("All questions, drawn at FastChat's 0.7 for writing.", temperature=0.7),
    }

    baseline: str = ""
    """Model to compare with: a file of ``model_answer``. Empty: the reference method."""
    limit: int = 0
    """Questions of each category at most, those whose ids hash lowest; 0 takes all."""

    def __post_init__(self) -> None:
        check_limit(self.limit)
        if Path(self.baseline).name != self.baseline:
            raise ValueError(
                f"baseline is {self.baseline!r}; it must be the name of a file of model_answer"
            )

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        solutions = read_answers(data.folder / "reference_answer" / "gpt-4.jsonl")
        others = (
            read_answers(data.folder / "model_answer" / f"{self.baseline}.jsonl")
            if self.baseline
            else None
        )
        samples = []
        for row in read_rows(data.folder / "question.jsonl", Question):
            number, turns = row.question_id, row.turns
            if others is not None and len(others.get(number, ())) != len(turns):
                raise DataError(
                    f"{self.baseline!r} has not answered all turns of question {number}; name a "
                    "baseline that has answered all."
                )
            context = {"turns": turns}
            context |= {"solution": solutions[number]} if number in solutions else {}
            samples.append(
                Sample(
                    id=str(number),
                    input=turns[0],
                    targets=() if others is None else others[number],
                    groups={"category": row.category},
                    context=context,
                )
            )
        yield from subset(samples, self.limit, "category")

    def next_turn(
        self, sample: Sample, protocol: Protocol, outputs: Sequence[str]
    ) -> Sequence[Message] | None:
        turns = sample.context["turns"]
        if len(outputs) >= len(turns):
            return None
        messages: list[Message] = []
        for turn, output in zip(turns, outputs, strict=False):
            messages.append(Message(role="user", content=turn))
            messages.append(Message(role="assistant", content=self.extract(output)))
        return [*messages, Message(role="user", content=turns[len(outputs)])]


def read_answers(path: Path) -> dict[int, tuple[str, ...]]:
    """Read a model's answers by question, one a turn."""
    return {row.question_id: row.choices[0].turns for row in read_rows(path, Answer)}


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [MTBench]

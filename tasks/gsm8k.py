"""GSM8K: grade-school arithmetic in words, solved step by step (arXiv 2110.14168).

The prompt is open-instruct's (its eval/gsm/run_eval.py), after eight worked examples:

    Answer the following questions.

    Question: {question}
    Answer: {chain of thought} So the answer is {number}.

    Question: {question}
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchbench import Data, Generation, HubData, Message, Protocol, Sample, Task, hookimpl
from benchbench.data import Filled, Row, check_limit, read_rows, subset
from benchbench.metrics import same_text

EXEMPLARS = (
    (
        "There are 15 trees in the grove. Grove workers will plant trees in the grove today. After "
        "they are done, there will be 21 trees. How many trees did the grove workers plant today?",
        "There are 15 trees originally. Then there were 21 trees after some more were planted. So "
        "there must have been 21 - 15 = 6. So the answer is 6.",
    ),
    (
        "If there are 3 cars in the parking lot and 2 more cars arrive, how many cars are in the "
        "parking lot?",
        "There are originally 3 cars. 2 more cars arrive. 3 + 2 = 5. So the answer is 5.",
    ),
    (
        "Leah had 32 chocolates and her sister had 42. If they ate 35, how many pieces do they "
        "have left in total?",
        "Originally, Leah had 32 chocolates. Her sister had 42. So in total they had 32 + 42 = 74. "
        "After eating 35, they had 74 - 35 = 39. So the answer is 39.",
    ),
    (
        "Jason had 20 lollipops. He gave Denny some lollipops. Now Jason has 12 lollipops. How "
        "many lollipops did Jason give to Denny?",
        "Jason started with 20 lollipops. Then he had 12 after giving some to Denny. So he gave "
        "Denny 20 - 12 = 8. So the answer is 8.",
    ),
    (
        "Shawn has five toys. For Christmas, he got two toys each from his mom and dad. How many "
        "toys does he have now?",
        "Shawn started with 5 toys. If he got 2 toys each from his mom and dad, then that is 4 "
        "more toys. 5 + 4 = 9. So the answer is 9.",
    ),
    (
        "There were nine computers in the server room. Five more computers were installed each "
        "day, from monday to thursday. How many computers are now in the server room?",
        "There were originally 9 computers. For each of 4 days, 5 more computers were added. So "
        "5 * 4 = 20 computers were added. 9 + 20 is 29. So the answer is 29.",
    ),
    (
        "Michael had 58 golf balls. On tuesday, he lost 23 golf balls. On wednesday, he lost 2 "
        "more. How many golf balls did he have at the end of wednesday?",
        "Michael started with 58 golf balls. After losing 23 on tuesday, he had 58 - 23 = 35. "
        "After losing 2 more, he had 35 - 2 = 33 golf balls. So the answer is 33.",
    ),
    (
        "Olivia has $23. She bought five bagels for $3 each. How much money does she have left?",
        "Olivia had 23 dollars. 5 bagels for 3 dollars each will be 5 x 3 = 15 dollars. So she has "
        "23 - 15 dollars left. 23 - 15 is 8. So the answer is 8.",
    ),
)
"""Question and answer, to the letter, of arXiv 2201.11903 (appendix, table 20)."""

DRAWN = 200
"""Questions of the protocol ``open-instruct``."""

COMMA = re.compile(r"(\d),(\d)")
NUMBER = re.compile(r"(?:(?<!\d)[-+])?(?:\d*\.\d+|\d+)")
"""As open-instruct's, but for the sign before whole numbers, to which its comparison is deaf."""
ANNOTATION = re.compile(r"<<[^<>]*>>")
"""The calculator's notes within the published solutions, e.g. ``<<3*4=12>>``."""


def chain_of_thought(summary: str, shots: int = len(EXEMPLARS)) -> Protocol:
    """Return a protocol with the form and length that open-instruct gives to tuned models."""
    return Protocol(
        summary=summary, generation=Generation(max_tokens=512), shots=shots, form="tulu"
    )


OPEN_INSTRUCT = chain_of_thought("The 200 questions that open-instruct draws, 8 examples.")


class Problem(Row):
    """A row of the files."""

    question: Filled
    answer: Filled

    def __post_init__(self) -> None:
        if "####" not in self.solution or as_number(self.number) is None:
            raise ValueError("'answer' does not end in '####' and a number; get the file again")

    @property
    def solution(self) -> str:
        return ANNOTATION.sub("", self.answer)

    @property
    def number(self) -> str:
        """The number after ``####``, without its thousands' commas."""
        return COMMA.sub(r"\1\2", self.solution.rpartition("####")[2].strip())


@dataclass(frozen=True, kw_only=True)
class GSM8K(Task):
    """Solve an arithmetic problem in words; scored by the last number of the answer.

    ``exact_match`` is open-instruct's, which ignores signs and points: it takes 1.5 for 15.
    ``same_number`` compares the numbers, so that 18.0 is 18 and -10 is not 10. Training targets are
    the published solutions without the calculator's notes; they end in ``#### {number}``.
    """

    name = "gsm8k"
    family = "reasoning"
    source = "https://arxiv.org/abs/2110.14168"
    data_set = "gsm8k"
    embedded = Path(__file__).parent / "sample" / "gsm8k"
    how_to_get = (
        "run: git clone https://github.com/openai/grade-school-math, then copy its folder "
        "grade_school_math/data to {folder}"
    )
    hub = HubData(
        repository="openai/gsm8k",
        revision="740312add88f781978c0658806c59bc2815b9866",
        files={
            f"main/{split}-00000-of-00001.parquet": f"{split}.jsonl" for split in ("train", "test")
        },
    )
    metric = "exact_match"
    evaluation_only = ("limit",)
    protocols = {
        "full": chain_of_thought("All questions, 8 worked examples."),
        "open-instruct": OPEN_INSTRUCT,
        "zero-shot": chain_of_thought("All questions, no example.", shots=0),
    }

    limit: int = 0
    """Test samples at most, those whose ids hash lowest; 0 takes all."""

    def __post_init__(self) -> None:
        check_limit(self.limit)

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        for i, row in enumerate(read_rows(data.folder / f"{split}.jsonl", Problem)):
            yield Sample(
                id=f"{split}/{i}",
                input=row.question.strip(),
                targets=(row.solution if split == "train" else row.number,),
            )

    def select(self, samples: Sequence[Sample], protocol: Protocol) -> Sequence[Sample]:
        if protocol == OPEN_INSTRUCT and len(samples) > DRAWN:
            samples = Random(42).sample(samples, DRAWN)
        return subset(samples, self.limit)

    def prompt(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool]
    ) -> Sequence[Message]:
        shown = [f"Question: {question}\nAnswer: {answer}" for question, answer in EXEMPLARS]
        shown = shown[: protocol.shots]
        head = f"Answer the following question{'s' if shown else ''}."
        content = "\n\n".join([head, *shown, f"Question: {sample.input}"])
        return [Message(role="user", content=content), Message(role="assistant", content="Answer:")]

    def extract(self, completion: str) -> str:
        numbers = NUMBER.findall(COMMA.sub(r"\1\2", completion))
        return numbers[-1] if numbers else completion.strip()

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        return {
            "exact_match": same_text(answers[0], sample.targets),
            "same_number": float(as_number(answers[0]) == as_number(sample.targets[0])),
        }


def as_number(text: str) -> float | None:
    """Return the number that a text is, if it is one."""
    return float(text) if NUMBER.fullmatch(text) else None


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [GSM8K]

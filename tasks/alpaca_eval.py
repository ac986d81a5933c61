"""AlpacaEval: 805 instructions of many kinds, answered at length and compared by a judge.

The instructions are those of five earlier sets (self-instruct, Open Assistant, Koala, Vicuna and
helpful-base of Anthropic). They are read from the outputs that text-davinci-003 gave to them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchbench import Data, Generation, HubData, Protocol, Sample, Task, hookimpl
from benchbench.data import DataError, Filled, Row, check_limit, read_rows, subset

INSTRUCTIONS = "text_davinci_003"
"""The model of whose outputs the instructions are read."""


NEXT_TURN = "<|user|>"
"""Ends an answer: a model that goes on to speak for the user is judged by what it answered."""


def tulu(summary: str, max_tokens: int, *stop: str) -> Protocol:
    """Return a protocol in Tülu's form, greedy, as open-instruct's."""
    generation = Generation(max_tokens=max_tokens, stop=stop)
    return Protocol(summary=summary, generation=generation, form="tulu")


class Output(Row):
    """A model's answer to an instruction."""

    dataset: Filled
    instruction: Filled
    output: str


@dataclass(frozen=True, kw_only=True)
class AlpacaEval(Task):
    """Answer an instruction at length; scored by how often a judge prefers the answer.

    Answers are compared with those of the reference method, or with a published model's. The win
    rate is our own: both orders, our wording, whichever judge is asked. It is no number of
    AlpacaEval's leaderboards (arXiv 2404.04475), which hold for its wording and GPT-4.

    An answer may have 1,024 tokens: of 12,073 published outputs of 15 models 1 % are longer than
    4,600 characters, which is about as much. open-instruct gives 2,048 (its first release, July
    2023) or 8,192 (February 2024), for which a model needs a context that is longer than that, and
    ends an answer at the end of the sequence alone.
    """

    name = "alpaca-eval"
    family = "long-form"
    source = "https://github.com/tatsu-lab/alpaca_eval"
    data_set = "alpaca_eval"
    embedded = Path(__file__).parent / "sample" / "alpaca_eval"
    how_to_get = "run: git clone https://github.com/tatsu-lab/alpaca_eval {folder}"
    # The outputs of two models alone; a clone has those of 200.
    hub = HubData(
        repository="tatsu-lab/alpaca_eval",
        revision="2edc6fad8be6b14ea7230aabfd08188da6b8b814",
        files={
            "alpaca_eval.json": "results/text_davinci_003/model_outputs.json",
            "alpaca_eval_gpt4_baseline.json": "results/gpt4_1106_preview/model_outputs.json",
        },
    )
    splits = ("test",)
    metric = "win_rate"
    chance = 0.5
    judged = True
    evaluation_only = ("baseline", "limit")
    protocols = {
        "full": tulu("All instructions, answers of 1,024 tokens at most.", 1024, NEXT_TURN),
        "open-instruct": tulu("As open-instruct's first release: 2,048 tokens at most.", 2048),
        "open-instruct-long": tulu("As open-instruct since 2024: 8,192 tokens at most.", 8192),
    }

    baseline: str = ""
    """Model to compare with: a folder of ``results``, such as text_davinci_003 (AlpacaEval 1) or
    gpt4_1106_preview (2). Empty: the reference method."""
    limit: int = 0
    """Instructions at most, those whose ids hash lowest; 0 takes all."""

    def __post_init__(self) -> None:
        check_limit(self.limit)
        if Path(self.baseline).name != self.baseline or self.baseline == "..":
            raise ValueError(
                f"baseline is {self.baseline!r}; it must be the name of a folder of results"
            )

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        results = data.folder / "results"
        rows = read_outputs(results / ("sample" if data.source == "sample" else INSTRUCTIONS))
        others = read_outputs(self._baseline(results)) if self.baseline else None
        samples = (
            Sample(
                id=f"{row.dataset}/{hash_text(instruction)}",
                input=instruction,
                targets=() if others is None else self._target(instruction, others),
                groups={"dataset": row.dataset},
            )
            for instruction, row in rows.items()
        )
        yield from subset(samples, self.limit)

    def _baseline(self, results: Path) -> Path:
        folder = results / self.baseline
        if not folder.is_dir():
            known = ", ".join(sorted(each.name for each in results.iterdir() if each.is_dir()))
            raise DataError(
                f"baseline is {self.baseline!r}, and the data set has outputs of {known} only; "
                "name one of them, or another data set with --data DIR."
            )
        return folder

    def _target(self, instruction: str, others: Mapping[str, Output]) -> tuple[str]:
        # A reference for some samples only would compare the others with another opponent.
        if instruction not in others:
            raise DataError(
                f"the outputs of {self.baseline!r} lack the instruction {instruction[:60]!r}; name "
                "a baseline that has all of them."
            )
        return (others[instruction].output,)


def read_outputs(folder: Path) -> dict[str, Output]:
    """Read a model's outputs as released, by instruction."""
    return {row.instruction: row for row in read_rows(folder / "model_outputs.json", Output)}


def hash_text(text: str) -> str:
    """Return the first 12 hex digits of a text's SHA-256: instructions have no ids of their own."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [AlpacaEval]

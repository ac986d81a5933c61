"""Tasks of every kind: ranked, with turns, judged, and for training only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import ClassVar

from benchbench import Data, Generation, Message, Protocol, Sample, Task
from benchbench.contract.task import Fits

SAY: Mapping[str, Protocol] = {
    "say": Protocol(summary="the input", generation=Generation(max_tokens=4), form="text")
}


@dataclass(frozen=True, kw_only=True)
class Toy(Task):
    """Three samples."""

    name = "toy"
    family = "toy"
    data_set = "toy"
    embedded = Path(__file__).parent
    metric = "right"
    protocols: ClassVar[Mapping[str, Protocol]] = SAY

    def samples(self, split: str, data: Data) -> Iterable[Sample]:
        for n in range(3):
            text = f"sample {n}"
            yield Sample(id=text, input=text, targets=("yes",), choices=(" yes", " no"))

    def select(self, samples: Sequence[Sample], protocol: Protocol) -> Sequence[Sample]:
        return samples[:2]

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        return {"right": float(answers[-1] in sample.targets)}


@dataclass(frozen=True, kw_only=True)
class Ranked(Toy):
    """The likelier choice is the answer."""

    name = "ranked"
    ranked = True

    def score_choices(self, sample: Sample, logprobs: Sequence[float]) -> Mapping[str, float]:
        return {"right": float(logprobs[0] > logprobs[1])}


@dataclass(frozen=True, kw_only=True)
class Turns(Toy):
    """A second question follows the first answer."""

    name = "turns"

    def next_turn(
        self, sample: Sample, protocol: Protocol, outputs: Sequence[str]
    ) -> Sequence[Message] | None:
        if len(outputs) == 2:
            return None
        return [
            Message(role="user", content=sample.input),
            Message(role="assistant", content=outputs[0]),
            Message(role="user", content="again"),
        ]


@dataclass(frozen=True, kw_only=True)
class Judged(Toy):
    """Somebody else says which output is better."""

    name = "judged"
    judged = True
    metric = "win_rate"


@dataclass(frozen=True, kw_only=True)
class Corpus(Toy):
    """Two turns to train on."""

    name = "corpus"
    splits = ("train",)

    def conversation(
        self, sample: Sample, protocol: Protocol, fits: Fits, random: Random
    ) -> Sequence[Message]:
        said = ("user", "the cat"), ("assistant", "sat"), ("user", "on"), ("assistant", "the mat")
        return [Message(role=role, content=text) for role, text in said]  # type: ignore[arg-type]

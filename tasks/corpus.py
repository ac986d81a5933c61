"""What the corpora that models are trained on have in common, most of them parts of Tülu v1."""

from collections.abc import Callable, Sequence
from random import Random

from benchbench import Generation, Message, Protocol, Sample, Task

TULU = Protocol(
    summary="As Tülu trains on it: all that the assistant says is learned.",
    generation=Generation(max_tokens=1024),
    form="tulu",
    max_example_tokens=2048,
)


class Corpus(Task):
    """Samples to train on; nothing is tested."""

    family = "training"
    splits = ("train",)
    metric = "none"
    protocols = {"tulu": TULU}


class Conversations(Corpus):
    """Samples whose context holds the ``messages``, each with its role and content."""

    def conversation(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool], random: Random
    ) -> Sequence[Message]:
        return [Message(**turn) for turn in sample.context["messages"]]

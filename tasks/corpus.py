"""What the corpora that models are trained on have in common, most of them parts of Tülu v1."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from benchbench import Generation, Message, Protocol, Sample, Task
from benchbench.data import items, read_json, read_jsonl

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


def rows(path: Path) -> Iterator[tuple[Any, str]]:
    """Yield the records of a JSON list, or of a file of JSON lines, each with where it stands."""
    if path.suffix == ".jsonl":
        for i, row in enumerate(read_jsonl(path), start=1):
            yield row, f"line {i} of {path}"
    else:
        for i, row in enumerate(items({path.name: read_json(path)}, path.name, str(path.parent))):
            yield row, f"[{i}] of {path}"

"""LIMA: a thousand conversations chosen with care (arXiv 2305.11206)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from benchbench import Data, HubData, Sample, Task, hookimpl
from benchbench.data import Row, Texts, read_rows
from benchbench_tasks.corpus import Conversations


class Published(Row):
    """A row of ``train.jsonl``."""

    conversations: Texts

    @property
    def answered(self) -> list[str]:
        """As Tülu v2: not a last question."""
        return list(self.conversations[: len(self.conversations) // 2 * 2])

    def __post_init__(self) -> None:
        if not self.answered:
            raise ValueError("'conversations' has no answer; it must have one or more")


class PassedOn(Row):
    """A row of ``lima.json``, in the format of Alpaca."""

    instruction: str
    input: str
    output: str
    history: list[Texts]

    @property
    def turns(self) -> list[str]:
        asked = filter(None, (self.instruction.strip(), self.input.strip()))
        return [*chain(*self.history), "\n\n".join(asked), self.output]


@dataclass(frozen=True, kw_only=True)
class Lima(Conversations):
    """1,030 conversations chosen with care, most of one question and one answer.

    Read from ``train.jsonl`` as published, or from a ``lima.json`` in the format of Alpaca with
    earlier turns under ``history``, as it is often passed on (e.g. by LLaMA-Factory).
    """

    name = "lima"
    source = "https://arxiv.org/abs/2305.11206"
    data_set = "lima"
    how_to_get = (
        "accept the terms of https://huggingface.co/datasets/GAIR/lima and put its train.jsonl "
        "(or train.jsonl.gz) into {folder}"
    )
    hub = HubData(
        repository="GAIR/lima",
        revision="68958e98267f5fb4a52a03ebcdae4ae59213fa7c",
        files={"train.jsonl": "train.jsonl"},
    )

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        for i, turns in enumerate(read_turns(data.folder)):
            messages = [
                {"role": "assistant" if n % 2 else "user", "content": turn.strip()}
                for n, turn in enumerate(turns)
            ]
            first = messages[0]["content"]
            yield Sample(id=str(i), input=first, context={"messages": messages})


def read_turns(folder: Path) -> list[list[str]]:
    """Return the turns of each conversation, by question and answer in turn."""
    path = folder / "lima.json"
    if any(each.exists() for each in (path, path.with_name("lima.json.gz"))):
        return [row.turns for row in read_rows(path, PassedOn)]
    return [row.answered for row in read_rows(folder / "train.jsonl", Published)]


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [Lima]

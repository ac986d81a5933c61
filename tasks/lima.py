"""LIMA: a thousand conversations chosen with care (arXiv 2305.11206)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchbench import Data, HubData, Sample, Task, hookimpl
from benchbench.data import items, key, texts
from benchbench_tasks.corpus import Conversations, rows


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


def read_turns(folder: Path) -> Iterator[list[str]]:
    """Yield the turns of each conversation, by question and answer in turn."""
    path = folder / "lima.json"
    if any(each.exists() for each in (path, path.with_name("lima.json.gz"))):
        yield from read_passed_on(path)
        return
    for row, where in rows(folder / "train.jsonl"):
        turns = texts(row, "conversations", where)
        answered = list(turns[: len(turns) // 2 * 2])  # as Tülu v2: not a last question
        yield items({"answered conversations": answered}, "answered conversations", where)


def read_passed_on(path: Path) -> Iterator[list[str]]:
    """Yield the turns of each conversation of a file in the format of Alpaca."""
    for row, where in rows(path):
        earlier = [
            turn
            for pair in key(row, "history", list, where)
            for turn in texts({"history": pair}, "history", where)
        ]
        asked = [key(row, name, str, where).strip() for name in ("instruction", "input")]
        question = "\n\n".join(filter(None, asked))
        yield [*earlier, question, key(row, "output", str, where)]


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [Lima]

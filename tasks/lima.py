"""LIMA: a thousand conversations chosen with care (arXiv 2305.11206)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchbench import Data, Generation, HubData, Message, Protocol, Sample, Task, hookimpl
from benchbench.data import items, key, read_json, read_jsonl, texts


@dataclass(frozen=True, kw_only=True)
class Lima(Task):
    """1,030 conversations chosen with care, most of one question and one answer.

    Read from ``train.jsonl`` as published, or from a ``lima.json`` in the format of Alpaca with
    earlier turns under ``history``, as it is often passed on (e.g. by LLaMA-Factory).
    """

    name = "lima"
    family = "training"
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
    splits = ("train",)
    metric = "none"
    protocols = {
        "tulu": Protocol(
            summary="All turns, as open-instruct trains on them.",
            generation=Generation(max_tokens=1024),
            form="tulu",
            max_example_tokens=2048,  # as Tülu v1
        )
    }

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        for i, turns in enumerate(read_turns(data.folder)):
            messages = [
                {"role": "assistant" if n % 2 else "user", "content": turn.strip()}
                for n, turn in enumerate(turns)
            ]
            first = messages[0]["content"]
            yield Sample(id=str(i), input=first, context={"messages": messages})

    def conversation(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool], random: Random
    ) -> Sequence[Message]:
        return [Message(**turn) for turn in sample.context["messages"]]


def read_turns(folder: Path) -> Iterator[list[str]]:
    """Yield the turns of each conversation, by question and answer in turn."""
    path = folder / "lima.json"
    if any(each.exists() for each in (path, path.with_name("lima.json.gz"))):
        yield from read_passed_on(path)
        return
    path = folder / "train.jsonl"
    for i, row in enumerate(read_jsonl(path), start=1):
        where = f"line {i} of {path}"
        turns = texts(row, "conversations", where)
        answered = list(turns[: len(turns) // 2 * 2])  # as Tülu v2: not a last question
        yield items({"answered conversations": answered}, "answered conversations", where)


def read_passed_on(path: Path) -> Iterator[list[str]]:
    """Yield the turns of each conversation of a file in the format of Alpaca."""
    for i, row in enumerate(items({path.name: read_json(path)}, path.name, str(path.parent))):
        where = f"[{i}] of {path}"
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

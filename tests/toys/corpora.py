"""Training corpora of a few samples, in files as they are published."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from benchbench import Data, Message, Sample, Task


def write(folder: Path, name: str, rows: Any) -> Data:
    """Write a file by what its name ends in: records a line, a text as it stands, else JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    if ".jsonl" in name:
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
    else:
        text = rows if isinstance(rows, str) else json.dumps(rows, ensure_ascii=False)
    content = text.encode("utf-8")
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return Data(name=folder.name, folder=folder, source="folder")


def read(task: Task, folder: Path) -> list[Sample]:
    return list(task.samples("train", Data(name=folder.name, folder=folder, source="folder")))


def conversation(task: Task, sample: Sample, seed: int = 0) -> Sequence[Message]:
    (protocol,) = task.protocols.values()
    return task.conversation(sample, protocol, lambda _: True, Random(seed))


def turns(task: Task, sample: Sample, seed: int = 0) -> list[tuple[str, str]]:
    return [(each.role, each.content) for each in conversation(task, sample, seed)]

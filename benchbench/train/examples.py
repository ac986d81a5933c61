"""Tokenised training samples: how they are stored, and in what order they are seen."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, TypeVar, overload

from benchbench.models.prompt import Example
from benchbench.specs import TrainSpec

Item = TypeVar("Item")
Step = list[list[int]]
"""What a step sees: parts of a batch, each the indices of its samples."""


@dataclass(frozen=True)
class Examples(Sequence[Example]):
    """Training samples, held as flat arrays so that millions of tokens stay small."""

    tokens: Any
    """int32: prompt and completion of every sample, one after the other."""
    starts: Any
    """int64: where each sample starts in ``tokens``, and the end of the last."""
    prompts: Any
    """int32: tokens in each sample's prompt."""
    read: Any
    """int64 [spans, 3]: sample, and start and end of what is read only in its completion."""

    @property
    def lengths(self) -> list[int]:
        """Tokens in each sample."""
        lengths: list[int] = (self.starts[1:] - self.starts[:-1]).tolist()
        return lengths

    def __len__(self) -> int:
        return len(self.prompts)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        tokens = self.tokens[self.starts[index] : self.starts[index + 1]].tolist()
        prompt = int(self.prompts[index])
        first, last = self.read[:, 0].searchsorted([index, index + 1])
        return Example(
            prompt=tuple(tokens[:prompt]),
            completion=tuple(tokens[prompt:]),
            read=tuple((start, end) for _, start, end in self.read[first:last].tolist()),
        )


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write samples as safetensors, whole or not at all."""
    import numpy
    from safetensors.numpy import save_file

    rows = [(*example.prompt, *example.completion) for example in examples]
    arrays: dict[str, Any] = {
        "tokens": numpy.fromiter(chain.from_iterable(rows), numpy.int32),
        "starts": numpy.cumsum([0, *map(len, rows)], dtype=numpy.int64),
        "prompts": numpy.array([len(e.prompt) for e in examples], numpy.int32),
        "read": numpy.array(
            [(n, *span) for n, example in enumerate(examples) for span in example.read],
            numpy.int64,
        ).reshape(-1, 3),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    save_file(arrays, part)
    os.replace(part, path)


def read_examples(path: Path) -> Examples:
    """Read what ``write_examples`` wrote."""
    from safetensors.numpy import load_file

    return Examples(**load_file(path))


def plan(lengths: Sequence[int], train: TrainSpec, seed: int, processes: int = 1) -> list[Step]:
    """Return what every step of a training sees: the same for all methods that are compared.

    Each step has as many parts for each process; they take them in turn.

    An epoch deals all samples into batches whose sizes differ by at most one, so that no step
    learns from a handful of left-over samples. The batch with the longest sample comes first:
    where memory is too small, it runs out at once and not at the end.
    """
    if not lengths:
        raise ValueError("there are no training samples")
    random = Random(seed)
    batches = math.ceil(len(lengths) / train.batch_size)
    least = len(lengths) // batches
    if least < processes:
        raise ValueError(
            f"batches of {least} samples cannot be shared by {processes} devices; choose fewer "
            "devices or larger batches"
        )
    each = min(math.ceil(train.gradient_accumulation / processes), least // processes)
    parts = each * processes
    total = train.steps or max(1, math.ceil(train.epochs * batches))
    dealt: list[list[int]] = []
    while len(dealt) < total:
        dealt += deal(lengths, batches, random)
    longest = max(range(total), key=lambda i: max(lengths[j] for j in dealt[i]))
    dealt[0], dealt[longest] = dealt[longest], dealt[0]
    return [evenly(batch, parts) for batch in dealt[:total]]


def deal(lengths: Sequence[int], batches: int, random: Random) -> list[list[int]]:
    """Deal all samples into batches of like length, in an order that length says nothing of.

    Sorting within windows of shuffled samples saves padding and still mixes: transformers'
    ``LengthGroupedSampler`` has windows of the same size, but leaves the batches sorted.
    """
    order = list(range(len(lengths)))
    random.shuffle(order)
    window = max(1, min(50, batches // 4))
    shuffled = evenly(order, batches)
    dealt: list[list[int]] = []
    for start in range(0, batches, window):
        pool = [i for batch in shuffled[start : start + window] for i in batch]
        pool.sort(key=lambda i: lengths[i])
        dealt += evenly(pool, len(shuffled[start : start + window]))
    random.shuffle(dealt)
    return dealt


def evenly(items: list[Item], parts: int) -> list[list[Item]]:
    """Cut a list into consecutive parts whose lengths differ by at most one."""
    n = len(items)
    return [items[i * n // parts : (i + 1) * n // parts] for i in range(parts)]

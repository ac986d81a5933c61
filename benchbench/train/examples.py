"""Tokenised training samples: how they are stored, and in what order they are seen."""

import hashlib
import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from benchbench import files
from benchbench.contract.task import Protocol
from benchbench.errors import DataError
from benchbench.models.prompt import RENDERING, Example, Renderer
from benchbench.plan.plan import Plan
from benchbench.plan.samples import TaskSplit, TrainingSet
from benchbench.reporter import Reporter
from benchbench.specs import TrainSpec, digest
from benchbench.train.schedule import learns_padding

EXAMPLES = ".examples"
"""Folder of a store with tokenised samples; it may be deleted at any time."""

KEPT = 4
"""Files of tokenised samples that stay, the last ones used."""

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

    def __getitem__(self, index: Any) -> Any:
        """Return one sample."""
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

    rows = [example.tokens for example in examples]
    arrays: dict[str, Any] = {
        "tokens": numpy.fromiter(chain.from_iterable(rows), numpy.int32),
        "starts": numpy.cumsum([0, *map(len, rows)], dtype=numpy.int64),
        "prompts": numpy.array([len(e.prompt) for e in examples], numpy.int32),
        "read": numpy.array(
            [(n, *span) for n, example in enumerate(examples) for span in example.read],
            numpy.int64,
        ).reshape(-1, 3),
    }
    with files.replacing(path) as part:
        save_file(arrays, part)


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


def tokenised(plan: Plan, training: TrainingSet, folder: Path, reporter: Reporter) -> Path:
    """Return the file of tokenised samples, made once for all that it depends on."""
    splits = list({id(split): split for split, _ in training.samples}.values())
    key = digest(
        {
            "rendering": RENDERING,
            "model": asdict(plan.model.spec),
            "task": asdict(training.spec),
            "data": asdict(training.data),
            "code": {split.task.name: _code(split) for split in splits},
            "filled": _is_filled(plan),
        },
        length=16,
    )
    path = folder / EXAMPLES / f"{key}.safetensors"
    if path.exists():
        path.touch()
        return path
    for part in path.parent.glob("*.part"):  # of a command that was killed
        part.unlink()
    examples = _learned(plan, training, reporter)
    write_examples(path, examples)
    kept = sorted(path.parent.glob("*.safetensors"), key=lambda each: -each.stat().st_mtime)
    for old in kept[KEPT:]:
        old.unlink()
    return path


def _code(split: TaskSplit) -> list[str]:
    """Return what identifies a task's code: its plugin's version, and its file's content."""
    origin = split.origin
    file = inspect.getsourcefile(type(split.task))
    content = Path(file).read_bytes() if file else b""
    return [origin.distribution, origin.version, hashlib.sha256(content).hexdigest()]


def rendered(plan: Plan, training: TrainingSet, every: int = 1) -> Iterator[Example]:
    """Render training samples, one in so many; of some nothing is left to learn."""
    renderer, filled = Renderer.of(plan.model), _is_filled(plan)
    for split, sample in training.samples[::every]:
        example = renderer.example(split.task, sample, split.protocol)
        yield fill_answer(example, renderer, split.protocol) if filled else example


def _is_filled(plan: Plan) -> bool:
    return any(r.spec.train and learns_padding(r.spec.train) for r in plan.runs)


def _learned(plan: Plan, training: TrainingSet, reporter: Reporter) -> list[Example]:
    """Render what is trained on; what is cut so far that nothing is learned is left out."""
    total, name = len(training.samples), training.spec.label
    learned = []
    with reporter.bar("reading training samples", total) as update:
        for number, example in enumerate(rendered(plan, training), start=1):
            learned += [example] if example.is_learned else []
            if number % 256 == 0 or number == total:
                update(number, total, "")
    if not learned:
        raise DataError(
            f"every prompt of {name} is longer than the model's or the protocol's limit, so that "
            "no answer is left to learn; choose a model with a longer context."
        )
    if left_out := total - len(learned):
        reporter.say(
            f"{left_out:,} of {total:,} training samples of {name} are left out: their "
            "prompts are so long that no answer is left to learn"
        )
    return learned


def fill_answer(example: Example, renderer: Renderer, protocol: Protocol) -> Example:
    """Return a sample whose answer is as long as any may be, with padding that is learned."""
    if not example.is_learned:
        return example
    padding = renderer.tokenizer.pad_token_id or 0
    longest = protocol.generation.max_tokens
    if not renderer.apart:
        whole = min(renderer.context, protocol.max_example_tokens or renderer.context)
        longest = min(longest, whole - len(example.prompt))
    room = longest - len(example.completion)
    return replace(example, completion=(*example.completion, *[padding] * max(0, room)))

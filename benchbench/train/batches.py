"""From samples to tensors: a row each, or several in a row where that computes the same."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchbench.models.prompt import Example
from benchbench.train.examples import Examples

IGNORED = -100
"""Label of a token that is not learned, by torch's and transformers' convention."""

Tensors = dict[str, Any]
Collate = Callable[[Sequence[Example]], Tensors]


@dataclass(frozen=True)
class Parts(Sequence[list[Example]]):
    """The batches of all steps, or the parts they are computed in: Trainer's data set."""

    examples: Examples
    indices: Sequence[Sequence[int]]
    collate: Collate

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return [self.examples[i] for i in self.indices[index]]

    def batches(self, device: Any) -> Iterator[Tensors]:
        """Yield the tensors that training will see."""
        for part in self:
            yield {name: tensor.to(device) for name, tensor in self.collate(part).items()}


def padded(examples: Sequence[Example]) -> Tensors:
    """Return a row for each sample, padded on the right; only answers carry labels.

    Tensors ``input_ids``, ``attention_mask`` and ``labels`` [rows, tokens].
    """
    import torch

    width = max(len(e.prompt) + len(e.completion) for e in examples)
    shape = (len(examples), width)
    # Padding is masked, so its token does not matter; 0 exists in every vocabulary.
    batch = {
        "input_ids": torch.zeros(shape, dtype=torch.long),
        "attention_mask": torch.zeros(shape, dtype=torch.long),
        "labels": torch.full(shape, IGNORED, dtype=torch.long),
    }
    for row, example in enumerate(examples):
        tokens, labels = _tokens_and_labels(example)
        batch["input_ids"][row, : len(tokens)] = torch.tensor(tokens)
        batch["attention_mask"][row, : len(tokens)] = 1
        batch["labels"][row, : len(tokens)] = torch.tensor(labels)
    return batch


def packed(examples: Sequence[Example]) -> Tensors:
    """Return rows as wide as the longest sample, filled with others whose positions begin anew.

    Tensors ``input_ids``, ``position_ids`` and ``labels`` [rows, tokens]. There is no attention
    mask: transformers keeps samples apart where positions do not go on, and without one only.
    """
    import torch

    lengths = [len(e.prompt) + len(e.completion) for e in examples]
    rows = fill(lengths, max(lengths))
    shape = (len(rows), max(lengths))
    batch = {
        "input_ids": torch.zeros(shape, dtype=torch.long),
        "position_ids": torch.zeros(shape, dtype=torch.long),
        "labels": torch.full(shape, IGNORED, dtype=torch.long),
    }
    for number, row in enumerate(rows):
        end = 0
        for index in row:
            start, end = end, end + lengths[index]
            tokens, labels = _tokens_and_labels(examples[index])
            batch["input_ids"][number, start:end] = torch.tensor(tokens)
            batch["labels"][number, start:end] = torch.tensor(labels)
            batch["position_ids"][number, start:end] = torch.arange(lengths[index])
        # What is left over is a sample of its own, of which nothing is learned.
        batch["position_ids"][number, end:] = torch.arange(shape[1] - end)
    return batch


def paired(examples: Sequence[Example]) -> Tensors:
    """Return what an encoder-decoder model reads and what it is to write, padded on the right.

    Tensors ``input_ids`` and ``attention_mask`` [rows, prompt tokens] and ``labels`` [rows, answer
    tokens], from which the model makes its decoder's inputs.
    """
    import torch

    widest = max(len(e.prompt) for e in examples)
    longest = max(len(e.completion) for e in examples)
    batch = {
        "input_ids": torch.zeros((len(examples), widest), dtype=torch.long),
        "attention_mask": torch.zeros((len(examples), widest), dtype=torch.long),
        "labels": torch.full((len(examples), longest), IGNORED, dtype=torch.long),
    }
    for row, example in enumerate(examples):
        batch["input_ids"][row, : len(example.prompt)] = torch.tensor(example.prompt)
        batch["attention_mask"][row, : len(example.prompt)] = 1
        labels = _tokens_and_labels(example)[1][len(example.prompt) :]
        batch["labels"][row, : len(labels)] = torch.tensor(labels)
    return batch


def fill(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Put samples into as few rows of a width as first-fit decreasing finds; none is cut.

    Returns the samples' indices by row; ValueError for a sample that is longer than a row.
    """
    if max(lengths, default=0) > width:
        raise ValueError(f"a sample of {max(lengths)} tokens does not fit a row of {width}")
    rows: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        place = next((n for n, free in enumerate(room) if free >= lengths[index]), None)
        if place is None:
            rows.append([])
            room.append(width)
            place = len(rows) - 1
        rows[place].append(index)
        room[place] -= lengths[index]
    return rows


def packs_exactly(model: Any, examples: Sequence[Example], tolerance: float) -> bool:
    """Whether a model computes of samples in one row what it computes of them apart.

    Which it does is a matter of its architecture, and nothing that a model says of itself. Compared
    are the log-probabilities of answers, in nats, without gradients.
    """
    import torch

    few = sorted(examples, key=lambda e: len(e.prompt) + len(e.completion))[:3]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            apart = torch.cat([_answers(model, padded([example])) for example in few])
            together = _answers(model, _in_one_row(few))
    except Exception:  # an architecture may have no position_ids, and says so in its own way
        return False
    finally:
        model.train(training)
    return bool((apart - together).abs().max() <= tolerance)


def _in_one_row(examples: Sequence[Example]) -> Tensors:
    import torch

    rows = [packed([example]) for example in examples]
    return {name: torch.cat([row[name] for row in rows], 1) for name in rows[0]}


def _answers(model: Any, batch: Tensors) -> Any:
    """Return ln p of the tokens that carry labels, in order."""
    import torch

    labels = batch["labels"][0]
    inputs = {k: v.to(model.device) for k, v in batch.items() if k != "labels"}
    logits = model(**inputs, use_cache=False).logits[0]
    if len(logits) != len(labels):
        raise ValueError("a learned prompt stands before the row")
    places = (labels != IGNORED).nonzero()[:, 0]
    found = torch.log_softmax(logits[places - 1].float(), -1).cpu()
    return found.gather(1, labels[places][:, None])[:, 0]


def _tokens_and_labels(example: Example) -> tuple[list[int], list[int]]:
    """Return a sample's tokens, and its labels: what answers say, and not what is read."""
    tokens = [*example.prompt, *example.completion]
    prompt = len(example.prompt)
    labels = [IGNORED] * prompt + list(example.completion)
    for start, stop in example.read:
        labels[prompt + start : prompt + stop] = [IGNORED] * (stop - start)
    # Nothing predicts a first token; transformers counts the others as the loss's denominator.
    if not prompt:
        labels[0] = IGNORED
    return tokens, labels

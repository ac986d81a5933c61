"""From samples to tensors: a row each, or several in a row where that computes the same."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchbench.models.prompt import Example
from benchbench.train.examples import Examples, Step

IGNORED = -100
"""Label of a token that is not learned, by torch's and transformers' convention."""

Tensors = dict[str, Any]
Collate = Callable[[Sequence[Example]], Tensors]


@dataclass(frozen=True)
class Parts(Sequence[list[Example]]):
    """The batches of all steps, or the parts they are computed in: Trainer's data set."""

    examples: Examples
    steps: Sequence[Step]
    """As ``plan`` deals them; each has as many parts as the first."""
    collate: Collate

    @property
    def tokens(self) -> list[int]:
        """Return how many tokens each step sees, padding left out."""
        lengths = self.examples.lengths
        return [sum(lengths[i] for part in step for i in part) for step in self.steps]

    def __len__(self) -> int:
        return len(self.steps) * len(self.steps[0])

    def __getitem__(self, index: Any) -> Any:
        step, part = divmod(range(len(self))[index], len(self.steps[0]))
        return [self.examples[i] for i in self.steps[step][part]]

    def batches(self, device: Any) -> Iterator[Tensors]:
        """Yield the tensors that training will see."""
        for part in self:
            yield {name: tensor.to(device) for name, tensor in self.collate(part).items()}


def padded(examples: Sequence[Example]) -> Tensors:
    """Return a row for each sample, padded on the right; only answers carry labels.

    Tensors ``input_ids``, ``attention_mask`` and ``labels`` [rows, tokens].
    """
    labels = _table(map(_labels, examples), IGNORED)
    return _masked([example.tokens for example in examples]) | {"labels": labels}


def packed(examples: Sequence[Example]) -> Tensors:
    """Return rows as wide as the longest sample, filled with others whose positions begin anew.

    Tensors ``input_ids``, ``position_ids`` and ``labels`` [rows, tokens]. There is no attention
    mask: transformers keeps samples apart where positions do not go on, and without one only.
    """
    lengths = [len(example.tokens) for example in examples]
    rows = fill(lengths, max(lengths))
    return _packed([[examples[index] for index in row] for row in rows], max(lengths))


def paired(examples: Sequence[Example]) -> Tensors:
    """Return what an encoder-decoder model reads and what it is to write, padded on the right.

    Tensors ``input_ids`` and ``attention_mask`` [rows, prompt tokens] and ``labels`` [rows, answer
    tokens], from which the model makes its decoder's inputs.
    """
    labels = (_labels(example)[len(example.prompt) :] for example in examples)
    return _masked([example.prompt for example in examples]) | {"labels": _table(labels, IGNORED)}


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


def in_one_row(examples: Sequence[Example]) -> Tensors:
    """Return samples in a row of their own, as ``packed`` puts them."""
    return _packed([examples], sum(len(example.tokens) for example in examples))


def difference(model: Any, together: Tensors, examples: Sequence[Example]) -> float:
    """Return how far what a model computes of samples together is from what it does of each alone.

    Compared are the log-probabilities of their answers, in nats, without gradients. What samples
    that share a row are is a matter of the architecture, and nothing that a model says of itself:
    it may have no position_ids, and raise whatever it raises then.
    """
    import torch

    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            apart = torch.cat([_answers(model, padded([example])) for example in examples])
            return float((apart - _answers(model, together)).abs().max())
    finally:
        model.train(training)


def _answers(model: Any, batch: Tensors) -> Any:
    """Return ln p of the tokens that carry labels, in order."""
    import torch

    labels = batch["labels"]
    inputs = {k: v.to(model.device) for k, v in batch.items() if k != "labels"}
    # A learned prompt may have logits of its own before those of the tokens.
    logits = model(**inputs, use_cache=False).logits[:, -labels.shape[1] :]
    rows, places = (labels != IGNORED).nonzero(as_tuple=True)
    found = torch.log_softmax(logits[rows, places - 1].float(), -1).cpu()
    return found.gather(1, labels[rows, places][:, None])[:, 0]


def _packed(rows: Sequence[Sequence[Example]], width: int) -> Tensors:
    """Return samples in rows of a width; what is left over is a sample of which none is learned."""
    tokens = [[token for example in row for token in example.tokens] for row in rows]
    positions = [
        [n for length in (*lengths, width - sum(lengths)) for n in range(length)]
        for lengths in ([len(example.tokens) for example in row] for row in rows)
    ]
    labels = _table(([label for each in row for label in _labels(each)] for row in rows), IGNORED)
    return {"input_ids": _table(tokens), "position_ids": _table(positions), "labels": labels}


def _masked(rows: Sequence[Sequence[int]]) -> Tensors:
    # Padding is masked, so its token does not matter; 0 exists in every vocabulary.
    return {"input_ids": _table(rows), "attention_mask": _table([1] * len(row) for row in rows)}


def _table(rows: Iterable[Sequence[int]], padding: int = 0) -> Any:
    """Return rows as whole numbers [rows, the longest's tokens], padded on the right."""
    import torch

    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=padding)


def _labels(example: Example) -> list[int]:
    """Return the labels of a sample's tokens: what answers say, and not what is read."""
    prompt = len(example.prompt)
    labels = [IGNORED] * prompt + list(example.completion)
    for start, stop in example.read:
        labels[prompt + start : prompt + stop] = [IGNORED] * (stop - start)
    # Nothing predicts a first token; transformers counts the others as the loss's denominator.
    if not prompt:
        labels[0] = IGNORED
    return labels

"""Examples: their file, their batches, and their order."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from benchbench.models.prompt import Example
from benchbench.train.examples import plan, read_examples, write_examples
from tests.toys.jobs import TRAIN, examples, some_examples

__all__ = ["examples"]


def test_examples_survive_their_file(examples: Path) -> None:
    written, kept = some_examples(), read_examples(examples)
    assert len(kept) == len(written)
    assert list(kept) == written
    assert kept[-1] == written[-1]
    assert kept.lengths == [len(e.tokens) for e in written]
    assert [path.name for path in examples.parent.iterdir()] == [examples.name]


def test_what_is_said_between_answers_is_read_and_survives_the_file(tmp_path: Path) -> None:
    rows = [
        Example(prompt=(0,), completion=(8, 1)),
        Example(prompt=(0, 5), completion=(7, 1, 6, 6, 9, 1), read=((2, 4),)),
        Example(prompt=(0,), completion=(8, 1, 2, 8, 1, 3, 8), read=((2, 3), (5, 6))),
    ]
    write_examples(tmp_path / "examples.safetensors", rows)
    kept = read_examples(tmp_path / "examples.safetensors")
    assert list(kept) == rows


def test_an_epoch_sees_every_sample_once_in_batches_of_like_length() -> None:
    random = Random(0)
    lengths = [random.randrange(10, 500) for _ in range(1003)]
    train = replace(TRAIN, batch_size=16, epochs=2.5)
    steps = plan(lengths, train, seed=1)
    assert len(steps) == 158  # 2.5 times ceil(1003 / 16)
    batches = [step[0] for step in steps]
    assert {len(batch) for batch in batches} == {15, 16}
    epoch = sorted(i for batch in batches[63:126] for i in batch)
    assert epoch == list(range(1003))
    assert max(lengths) in {lengths[i] for i in batches[0]}
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert padded < 1.15 * sum(lengths[i] for batch in batches for i in batch)


def test_the_order_depends_on_the_seed_alone() -> None:
    lengths = [5] * 40
    assert plan(lengths, TRAIN, 1) == plan(lengths, TRAIN, 1)
    assert plan(lengths, TRAIN, 1) != plan(lengths, TRAIN, 2)
    assert (
        plan(lengths, replace(TRAIN, steps=3), 1) == plan(lengths, replace(TRAIN, steps=9), 1)[:3]
    )
    halved = plan(lengths, replace(TRAIN, gradient_accumulation=2), 1)
    assert [[*first, *second] for first, second in halved] == [
        b for (b,) in plan(lengths, TRAIN, 1)
    ]


def test_a_batch_is_never_cut_into_more_parts_than_samples() -> None:
    train = replace(TRAIN, batch_size=4, gradient_accumulation=4, epochs=1.0)
    assert plan([3] * 5, train, 0) and all(all(step) for step in plan([3] * 5, train, 0))
    with pytest.raises(ValueError, match="no training samples"):
        plan([], train, 0)

"""Rows of tensors: padded, packed and paired, and that packing changes nothing."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench.models.prompt import Example
from benchbench.train.batches import IGNORED, difference, fill, in_one_row, packed, padded, paired
from tests.toys.jobs import (
    FULL,
    LORA,
    NewJob,
    done,
    examples,
    losses,
    new_job,
    some_examples,
    weights,
)  # fmt: skip

__all__ = ["examples", "new_job"]

no = IGNORED


def test_only_completions_are_learned_their_end_included() -> None:
    rows = [Example(prompt=(0, 5, 6), completion=(7, 1)), Example(prompt=(0,), completion=(8, 1))]
    batch = {name: tensor.tolist() for name, tensor in padded(rows).items()}
    assert batch == {
        "input_ids": [[0, 5, 6, 7, 1], [0, 8, 1, 0, 0]],
        "attention_mask": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]],
        "labels": [[IGNORED] * 3 + [7, 1], [IGNORED, 8, 1, IGNORED, IGNORED]],
    }


def test_what_is_read_between_answers_carries_no_label() -> None:
    rows = [
        Example(prompt=(0, 5), completion=(7, 1, 6, 6, 9, 1), read=((2, 4),)),
        Example(prompt=(0,), completion=(8, 1, 2, 8, 1, 3, 8), read=((2, 3), (5, 6))),
    ]
    labels = padded(rows)["labels"].tolist()
    assert labels == [[no, no, 7, 1, no, no, 9, 1], [no, 8, 1, no, 8, 1, no, 8]]


def test_positions_begin_anew_with_each_sample_and_with_what_is_left_over() -> None:
    rows = [
        Example(prompt=(0, 5), completion=(7, 1)),
        Example(prompt=(0,), completion=(1,)),
        Example(prompt=(0, 4), completion=(9,)),
    ]
    batch = {name: tensor.tolist() for name, tensor in packed(rows).items()}
    assert batch == {
        "input_ids": [[0, 5, 7, 1], [0, 4, 9, 0], [0, 1, 0, 0]],
        "position_ids": [[0, 1, 2, 3], [0, 1, 2, 0], [0, 1, 0, 1]],
        "labels": [[no, no, 7, 1], [no, no, 9, no], [no, 1, no, no]],
    }
    batch = {name: tensor.tolist() for name, tensor in packed([*rows, rows[1]]).items()}
    assert batch["input_ids"] == [[0, 5, 7, 1], [0, 4, 9, 0], [0, 1, 0, 1]]
    assert batch["position_ids"][2] == [0, 1, 0, 1]
    assert batch["labels"][2] == [no, 1, no, 1]


def test_an_encoder_reads_the_prompt_and_the_decoder_learns_the_answer() -> None:
    rows = [
        Example(prompt=(5, 6, 1), completion=(7, 8, 9, 1), read=((1, 2),)),
        Example(prompt=(4, 1), completion=(3, 1)),
    ]
    batch = {name: tensor.tolist() for name, tensor in paired(rows).items()}
    assert batch == {
        "input_ids": [[5, 6, 1], [4, 1, 0]],
        "attention_mask": [[1, 1, 1], [1, 1, 0]],
        "labels": [[7, no, 9, 1], [3, 1, no, no]],
    }


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_rows_hold_every_sample_once_and_none_is_too_long(lengths: list[int]) -> None:
    rows = fill(lengths, max(lengths))
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= max(lengths) for row in rows)
    # First-fit never leaves two rows that would go into one.
    loads = sorted(sum(lengths[i] for i in row) for row in rows)
    assert len(rows) == 1 or loads[0] + loads[1] > max(lengths)


def test_a_sample_that_fits_no_row_is_refused() -> None:
    with pytest.raises(ValueError, match="5 tokens does not fit a row of 4"):
        fill([1, 5], 4)


def gradients(model: Any, batch: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    model.zero_grad()
    loss = model(**batch, use_cache=False).loss
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters()}


def test_packing_changes_neither_loss_nor_gradients(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model)
    rows = some_examples(24)
    random = Random(1)
    for _ in range(3):
        batch = random.sample(rows, 12)
        assert len(packed(batch)["input_ids"]) < 12
        loss, apart = gradients(model, padded(batch))
        same, together = gradients(model, packed(batch))
        assert same == pytest.approx(loss, rel=1e-5)
        for name, gradient in apart.items():
            torch.testing.assert_close(together[name], gradient, atol=1e-6, rtol=1e-3)


def test_what_packing_would_change_is_seen(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model)
    few = some_examples(3)
    assert difference(model, padded(few), few) < 1e-4
    assert difference(model, in_one_row(few), few) < 1e-4
    model.forward = forgetting_positions(model.forward)
    assert difference(model, in_one_row(few), few) > 1e-3
    model.forward = refusing_positions(model.forward)
    with pytest.raises(TypeError):
        difference(model, in_one_row(few), few)


def forgetting_positions(forward: Any) -> Any:
    return lambda position_ids=None, **inputs: forward(**inputs)


def refusing_positions(forward: Any) -> Any:
    def refuse(position_ids: Any = None, **inputs: Any) -> Any:
        if position_ids is not None:
            raise TypeError("forward() got an unexpected keyword argument 'position_ids'")
        return forward(**inputs)

    return refuse


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("name", "params"), [("full", FULL), ("lora", LORA)])
def test_a_packed_training_is_the_unpacked_one(
    name: str, params: dict[str, Any], new_job: NewJob
) -> None:
    import torch

    apart = new_job(name, params, folder="apart", packing=False)
    together = new_job(name, params, folder="together")
    costs = [done(job).cost for job in (apart, together)]
    assert [cost and cost.packed for cost in costs] == [False, True]
    assert losses(together) == pytest.approx(losses(apart), rel=1e-4)
    kept = weights(together)
    for key, tensor in weights(apart).items():
        torch.testing.assert_close(kept[key], tensor, atol=2e-4, rtol=1e-3)


@pytest.mark.usefixtures("one_thread")
def test_a_method_that_does_not_say_so_is_not_packed(new_job: NewJob) -> None:
    cost = done(new_job("prompt-tuning", {"tokens": 2}, epochs=0.2)).cost
    assert cost and cost.packed is False

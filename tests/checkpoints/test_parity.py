import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchbench.checkpoints.parity import (
    MOST_TOKENS,
    TEXTS,
    Reference,
    check,
    largest_difference,
    tokenize,
)
from benchbench.errors import StoreError
from benchbench.models.logprobs import token_logprobs
from benchbench.records.record import Parity

BASE = [[-1.0, -2.0], [-3.0]]
TRAINED = [[-0.5, -2.0], [-3.5]]
REFERENCE = Reference(prompts=[[1, 2, 3], [1, 2]], base=BASE, trained=TRAINED)


def checked(
    served: list[list[float]], reference: Reference = REFERENCE, route: str = "lora"
) -> Parity:
    return check(served, reference, route, "float32")


def test_what_was_trained_passes() -> None:
    parity = checked(TRAINED)
    assert parity.passed
    assert (parity.max_difference, parity.effect, parity.tokens) == (0.0, 0.5, 3)


def test_a_small_error_passes_and_a_large_one_does_not() -> None:
    near = [[value + 5e-4 for value in row] for row in TRAINED]
    far = [[value + 5e-3 for value in row] for row in TRAINED]
    assert checked(near).passed
    assert not checked(far).passed


def test_serving_the_base_model_fails_even_within_the_tolerance() -> None:
    """The commonest silent failure: the adapter was never applied."""
    weak = [[value + 4e-4 for value in row] for row in BASE]
    reference = replace(REFERENCE, trained=weak)
    assert not checked(BASE, reference).passed
    assert checked(weak, reference).passed


def test_the_base_model_itself_passes() -> None:
    assert checked(BASE, replace(REFERENCE, trained=BASE), "base").passed
    idle = checked(BASE, replace(REFERENCE, trained=BASE))
    assert not idle.passed  # a method that changed nothing is not the base model


def test_nan_and_missing_tokens_fail_and_are_written_as_unknown() -> None:
    for rows in ([[math.nan, -2.0], [-3.5]], [[-0.5], [-3.5]], []):
        parity = checked(rows)
        assert not parity.passed and parity.max_difference is None


def test_bfloat16_has_a_tolerance_of_its_own() -> None:
    near = [[value + 0.05 for value in row] for row in TRAINED]
    assert not check(near, REFERENCE, "lora", "float32").passed
    assert check(near, REFERENCE, "lora", "bfloat16").passed


def test_differences_of_other_shapes_are_infinite() -> None:
    assert largest_difference([[1.0]], [[1.0, 2.0]]) == math.inf


def test_a_reference_comes_back(tmp_path: Path) -> None:
    REFERENCE.write(tmp_path / "parity.json")
    assert Reference.read(tmp_path / "parity.json") == REFERENCE
    (tmp_path / "parity.json").write_text("{}")
    with pytest.raises(StoreError, match=r"parity\.json"):
        Reference.read(tmp_path / "parity.json")


def test_an_encoder_reads_one_half_and_the_other_is_scored(tiny_t5: Path) -> None:
    import torch
    from transformers import AutoTokenizer

    from benchbench.models.base import BaseModel

    model = BaseModel(tiny_t5).load(torch.float32).eval()
    prompts = tokenize(AutoTokenizer.from_pretrained(tiny_t5))
    for tokens, row in zip(prompts, token_logprobs(model, prompts), strict=True):
        half = (len(tokens) + 1) // 2
        with torch.no_grad():
            loss = model(
                input_ids=torch.tensor([tokens[:half]]), labels=torch.tensor([tokens[half:]])
            ).loss
        assert len(row) == len(tokens) - half
        assert -sum(row) / len(row) == pytest.approx(loss.item(), abs=1e-5)
    assert token_logprobs(model, [[5], [5, 6]])[0] == []


def test_log_probabilities_are_those_of_the_loss(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    prompts = tokenize(AutoTokenizer.from_pretrained(tiny_model))
    assert len(prompts) == len(TEXTS) and max(map(len, prompts)) <= MOST_TOKENS
    rows = token_logprobs(model, prompts)
    for tokens, row in zip(prompts, rows, strict=True):
        ids = torch.tensor([tokens])
        with torch.no_grad():
            loss = model(input_ids=ids, labels=ids).loss
        assert len(row) == len(tokens) - 1
        assert -sum(row) / len(row) == pytest.approx(loss.item(), abs=1e-5)

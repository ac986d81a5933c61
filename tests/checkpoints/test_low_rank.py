"""The change of weights as LoRA: of its exact rank or not at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.checkpoints.low_rank import factor


@settings(max_examples=20, deadline=None)
@given(rank=st.integers(1, 12), scale=st.floats(1e-3, 3), seed=st.integers(0, 1000))
def test_a_change_of_low_rank_has_factors_of_that_rank(rank: int, scale: float, seed: int) -> None:
    import torch

    torch.manual_seed(seed)
    before = torch.randn(48, 40) / 7
    change = torch.randn(48, rank) @ torch.randn(rank, 40) * scale / 50
    factors = factor(before, before + change, 64)
    assert factors is not None
    a, b = factors
    assert a.shape == (rank, 40) and b.shape == (48, rank)
    assert (b @ a - change).norm() <= 1e-3 * change.norm() + 1e-6 * before.norm()


@pytest.mark.parametrize("noise", [1e-3, 1e-1])
def test_a_change_of_full_rank_has_none(noise: float) -> None:
    import torch

    torch.manual_seed(0)
    before = torch.randn(48, 40)
    change = torch.randn(48, 2) @ torch.randn(2, 40) + noise * torch.randn(48, 40)
    assert factor(before, before + change, 64) is None


def test_more_than_is_served_well_is_not_factored() -> None:
    import torch

    torch.manual_seed(0)
    before = torch.randn(200, 200)
    rank = 65
    assert factor(before, before + torch.randn(200, rank) @ torch.randn(rank, 200), 64) is None


def test_what_drowns_in_rounding_is_no_change() -> None:
    import torch

    torch.manual_seed(0)
    before = torch.randn(48, 40)
    factors = factor(before, before + 1e-7 * torch.randn(48, 1) @ torch.randn(1, 40), 64)
    assert factors is not None and len(factors[0]) == 0


def test_the_same_change_has_the_same_factors_and_draws_no_random_numbers() -> None:
    import torch

    torch.manual_seed(0)
    before = torch.randn(48, 40)
    after = before + torch.randn(48, 3) @ torch.randn(3, 40)
    first = factor(before, after, 64)
    drawn = torch.rand(3)
    torch.manual_seed(0)
    torch.randn(48, 40), torch.randn(48, 3), torch.randn(3, 40)
    assert torch.equal(drawn, torch.rand(3))
    again = factor(before, after, 64)
    assert first and again and torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])

"""The change of weights as LoRA: of its exact rank or not at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.train.low_rank import LOST, MOST, factor


@settings(max_examples=20, deadline=None)
@given(rank=st.integers(1, 12), scale=st.floats(1e-3, 3), seed=st.integers(0, 1000))
def test_a_change_of_low_rank_has_factors_of_that_rank(rank: int, scale: float, seed: int) -> None:
    import torch

    torch.manual_seed(seed)
    before = torch.randn(48, 40) / 7
    change = torch.randn(48, rank) @ torch.randn(rank, 40) * scale / 50
    factors = factor(before, before + change)
    assert factors is not None
    a, b = factors
    assert a.shape == (rank, 40) and b.shape == (48, rank)
    assert (b @ a - change).norm() <= LOST * change.norm()


@pytest.mark.parametrize("noise", [1e-3, 1e-1])
def test_a_change_of_full_rank_has_none(noise: float) -> None:
    import torch

    torch.manual_seed(0)
    before = torch.randn(48, 40)
    change = torch.randn(48, 2) @ torch.randn(2, 40) + noise * torch.randn(48, 40)
    assert factor(before, before + change) is None


def test_more_than_is_served_well_is_not_factored() -> None:
    import torch

    torch.manual_seed(0)
    before = torch.randn(200, 200)
    rank = MOST + 1
    assert factor(before, before + torch.randn(200, rank) @ torch.randn(rank, 200)) is None


def test_a_change_that_drowns_in_rounding_is_not_factored() -> None:
    """Its factors would be noise: swapping the weights is exact."""
    import torch

    torch.manual_seed(0)
    before = torch.randn(48, 40)
    assert factor(before, before + 1e-7 * torch.randn(48, 1) @ torch.randn(1, 40)) is None

"""The change of a model's weights as LoRA of its exact rank, where it has one.

Many methods change each weight by a matrix of low rank, whatever they are called: PiSSA by twice
its rank, AdaLoRA, HRA, DeLoRA, VeRA and others by theirs. As plain LoRA they share batches.
"""

from typing import Any

from benchbench.models.architecture import Architecture

LOST = 1e-2
"""Largest share of a change (Frobenius norm) that its factors may miss. As every singular value
above rounding counts, they miss rounding only; a change that is mostly that has no factors."""

MORE = 16
"""Singular vectors that are computed beyond the largest rank, so that those are exact."""

Factors = tuple[Any, Any]
"""A [rank, inputs] and B [outputs, rank], whose product B A is the change."""


def factor(before: Any, after: Any, most: int) -> Factors | None:
    """Factor the change of one weight matrix; None where that would take a rank above ``most``.

    Singular values below the rounding of the weights themselves are not part of the change; where
    nothing else is left, the rank is 0.
    """
    import torch

    change = after.float() - before.float()
    size = before.float().norm() + after.float().norm() + change.norm()
    rounding = torch.finfo(torch.float32).eps * size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a randomised decomposition: exact for low ranks, and always the same
        left, values, right = torch.svd_lowrank(change, q=min(most + MORE, *change.shape), niter=4)
    rank = int((values > rounding).sum())
    if rank > min(most, min(change.shape) // 2):
        return None
    root = values[:rank].sqrt()
    a, b = root[:, None] * right.T[:rank], left[:, :rank] * root
    if rank and (change - b @ a).norm() > LOST * change.norm():
        return None
    return a.contiguous(), b.contiguous()


def factor_all(
    base: Any, trained: Any, architecture: Architecture, most: int
) -> dict[str, Factors] | None:
    """Factor all that training changed, by layer; None unless that is LoRA of linear layers.

    Both are transformers models of the same architecture; the head is no layer for LoRA.
    """
    import torch

    before: dict[str, Any] = dict(base.named_parameters())
    found: dict[str, Factors] = {}
    for name, after in trained.named_parameters():
        old = before[name].to(after.device)
        if torch.equal(old.float(), after.float()):
            continue
        layer, _, kind = name.rpartition(".")
        if kind != "weight" or layer not in architecture.linear:
            return None
        factors = factor(old.detach(), after.detach(), most)
        if factors is None:
            return None
        if len(factors[0]):
            found[layer] = factors
    return found or None

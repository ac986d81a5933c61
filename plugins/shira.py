"""SHiRA: a few single weights of each matrix are trained, drawn at random (arXiv 2406.13175)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class Shira(PeftMethod):
    """Train as many single weights of each linear layer as LoRA of rank ``rank`` would have.

    This is the paper's random mask, drawn anew for each seed and equal for layers of equal shape.
    The rank is PEFT's default, the learning rate that of its method comparison.
    """

    name = "shira"
    family = "change of weights"
    source = "https://arxiv.org/abs/2406.13175"
    packable = True
    config = "ShiraConfig"
    options = {"r": "rank"}
    seed_option = "random_seed"
    least = {"rank": 1}

    learning_rate: float = 3e-4
    rank: int = 32
    """Rank of the LoRA with as many parameters: at least 1, below what the smallest layer holds."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def adapt(self, model: Any, training: Training) -> Any:
        import torch

        # Torch asks to be told whether to check the sparse matrices that PEFT makes in every step.
        torch.sparse.check_sparse_tensor_invariants.disable()
        return super().adapt(model, training)


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Shira]

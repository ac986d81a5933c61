"""MiSS: one small trained matrix, repeated over the shards of each weight (arXiv 2409.15371)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class Miss(Method):
    """Add one trained matrix [rank, outputs] to every group of inputs of a linear layer.

    The rank is PEFT's default (named Bone in the paper's first versions), the learning rate that
    of its method comparison.
    """

    name = "miss"
    family = "change of weights"
    source = "https://arxiv.org/abs/2409.15371"
    packable = True

    learning_rate: float = 1e-4
    rank: int = 64
    """Groups the inputs are summed in: even, at least 2, at most a layer's inputs."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank < 2 or self.rank % 2:
            raise ValueError(f"rank is {self.rank}; it must be even and 2 or more")

    def adapt(self, model: Any, training: Training) -> Any:
        return peft_model(model, "MissConfig", targets=self.targets, r=self.rank)


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Miss]

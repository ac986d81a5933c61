"""MiSS: one small trained matrix, repeated over the shards of each weight (arXiv 2409.15371)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class Miss(PeftMethod):
    """Add one trained matrix [rank, outputs] to every group of inputs of a linear layer.

    The rank is PEFT's default (named Bone in the paper's first versions), the learning rate that
    of its method comparison.
    """

    name = "miss"
    family = "change of weights"
    source = "https://arxiv.org/abs/2409.15371"
    packable = True
    config = "MissConfig"
    options = {"r": "rank"}
    least = {"rank": 2}
    even = {"rank"}

    learning_rate: float = 1e-4
    rank: int = 64
    """Groups the inputs are summed in: even, at least 2, at most a layer's inputs."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Miss]

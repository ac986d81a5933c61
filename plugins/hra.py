"""HRA: each weight turned by a chain of trained Householder reflections (arXiv 2405.17484)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class Hra(PeftMethod):
    """Multiply each weight by ``rank`` reflections, an orthogonal change of low rank.

    The rank is PEFT's default, the learning rate that of its method comparison. Reflections start
    in equal pairs, which cancel.
    """

    name = "hra"
    family = "rotation"
    source = "https://arxiv.org/abs/2405.17484"
    packable = True
    config = "HRAConfig"
    options = {"r": "rank", "apply_GS": "orthogonalise"}
    least = {"rank": 2}
    even = {"rank"}

    learning_rate: float = 1e-4
    rank: int = 8
    """Reflections: even, at least 2."""
    orthogonalise: bool = False
    """Whether the reflections are kept orthogonal to one another, by Gram and Schmidt."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Hra]

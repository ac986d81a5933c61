"""HRA: each weight turned by a chain of trained Householder reflections (arXiv 2405.17484)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class Hra(Method):
    """Multiply each weight by ``rank`` reflections, an orthogonal change of low rank.

    The rank is PEFT's default, the learning rate that of its method comparison. Reflections start
    in equal pairs, which cancel.
    """

    name = "hra"
    family = "rotation"
    source = "https://arxiv.org/abs/2405.17484"
    packable = True

    learning_rate: float = 1e-4
    rank: int = 8
    """Reflections: even, at least 2."""
    orthogonalise: bool = False
    """Whether the reflections are kept orthogonal to one another, by Gram and Schmidt."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank < 2 or self.rank % 2:
            raise ValueError(f"rank is {self.rank}; it must be even and 2 or more")

    def adapt(self, model: Any, training: Training) -> Any:
        return peft_model(
            model, "HRAConfig", targets=self.targets, r=self.rank, apply_GS=self.orthogonalise
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Hra]

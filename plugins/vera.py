"""VeRA: one random pair A, B for all layers, scaled by trained vectors (arXiv 2310.11454)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class Vera(Method):
    """Train two vectors for each layer, which scale the rows of a random A and B that all share.

    Rank and the vectors' start are the paper's for RoBERTa large, the learning rate is its for
    instruction tuning of Llama, where the rank is 1024 (appendix A). A and B are drawn anew for
    each seed.
    """

    name = "vera"
    family = "change of weights"
    source = "https://arxiv.org/abs/2310.11454"
    packable = True

    learning_rate: float = 4e-3
    rank: int = 256
    """Rows of A, at least 1."""
    start: float = 0.1
    """Value at which the vector beside A begins, above 0."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "rank")
        if not self.start > 0:
            raise ValueError(f"start is {self.start}; it must be above 0")

    def adapt(self, model: Any, training: Training) -> Any:
        import torch

        return peft_model(
            model,
            "VeraConfig",
            targets=self.targets,
            r=self.rank,
            d_initial=self.start,
            projection_prng_key=int(torch.randint(2**31, ())),
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Vera]

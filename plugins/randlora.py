"""RandLoRA: trained scales for a full-rank sum of random low-rank bases (arXiv 2502.00987)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class RandLora(Method):
    """Train the scales of random bases that all layers share; a lower rank trains more of them.

    Rank 32 and alpha of 20 times the rank are PEFT's defaults, by the paper's author; the learning
    rate is that of PEFT's method comparison. The bases are drawn anew for each seed.
    """

    name = "randlora"
    family = "change of weights"
    source = "https://arxiv.org/abs/2502.00987"
    packable = True

    learning_rate: float = 1e-4
    rank: int = 32
    """Rank of each random basis, at least 1."""
    alpha: int = 640
    """The update is scaled by alpha / rank; some 20 times the rank."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "rank", "alpha")

    def adapt(self, model: Any, training: Training) -> Any:
        import torch

        return peft_model(
            model,
            "RandLoraConfig",
            targets=self.targets,
            r=self.rank,
            randlora_alpha=self.alpha,
            projection_prng_key=int(torch.randint(2**31, ())),
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [RandLora]

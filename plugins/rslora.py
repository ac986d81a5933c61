"""rsLoRA: LoRA scaled by the root of its rank, so that large ranks learn too (arXiv 2312.03732)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class RsLora(Method):
    """Add ``alpha / sqrt(rank) * B A`` to the linear layers and train only A and B.

    The learning rate is that of the paper's experiments (section 4), which train ranks from 4 to
    2048; the rank is that of PEFT's method comparison. Our choice: alpha 16, where the comparison
    has 64.
    """

    name = "rslora"
    family = "LoRA"
    source = "https://arxiv.org/abs/2312.03732"
    packable = True

    learning_rate: float = 5e-5
    rank: int = 64
    """Inner dimension r, at least 1."""
    alpha: int = 16
    """The update is scaled by alpha / sqrt(rank)."""
    dropout: float = 0.0
    """Chance that an input of A is zeroed in training, in [0, 1)."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "rank", "alpha")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must lie in [0, 1)")

    def adapt(self, model: Any, training: Training) -> Any:
        return peft_model(
            model,
            "LoraConfig",
            targets=self.targets,
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            use_rslora=True,
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [RsLora]

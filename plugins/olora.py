"""OLoRA: LoRA that starts from orthonormal factors of each weight (arXiv 2406.01775)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class Olora(Method):
    """Start A and B from the QR decomposition of the weight and freeze what is left of it.

    Rank, alpha, dropout and learning rate are those of PEFT's example ``olora_finetuning``.
    """

    name = "olora"
    family = "LoRA"
    source = "https://arxiv.org/abs/2406.01775"
    packable = True

    learning_rate: float = 3e-4
    rank: int = 32
    """Inner dimension r, at least 1; the change has up to twice this rank."""
    alpha: int = 16
    """The update is scaled by alpha / rank."""
    dropout: float = 0.05
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
            init_lora_weights="olora",
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Olora]

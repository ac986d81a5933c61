"""LoRA-FA: LoRA with a frozen A, whose B follows the full gradient (arXiv 2308.03303)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class LoraFa(PeftMethod):
    """Train only B, by gradients that are projected to make B A follow the full gradient.

    The rank is that of PEFT's method comparison, alpha and learning rate are those of its guide to
    the optimizer, where the rank is 128. Projected gradients are the paper's second version; in the
    first A is merely frozen.
    """

    name = "lora-fa"
    family = "LoRA"
    source = "https://arxiv.org/abs/2308.03303"
    packable = True
    config = "LoraConfig"
    options = {"r": "rank", "lora_alpha": "alpha"}
    least = {"rank": 1, "alpha": 1}

    learning_rate: float = 7e-5
    rank: int = 32
    """Inner dimension r, at least 1."""
    alpha: int = 32
    """The update is scaled by alpha / rank."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def optimizer(self, model: Any, training: Training) -> Any:
        from peft.optimizers import create_lorafa_optimizer

        return create_lorafa_optimizer(
            model,
            r=self.rank,
            lora_alpha=self.alpha,
            lr=self.learning_rate,
            weight_decay=training.weight_decay,
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [LoraFa]

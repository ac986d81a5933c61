"""LoRA+: LoRA that learns B faster than A (arXiv 2402.12354)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class LoraPlus(PeftMethod):
    """Train LoRA with a learning rate for B that is ``ratio`` times A's.

    A ratio of 16 is what the paper finds good for RoBERTa, and 2 to 4 what it finds for Llama
    (section 5.3); PEFT's guide has 16. The learning rate is half of LoRA's, as PEFT's notes on the
    optimizer say.
    """

    name = "lora-plus"
    family = "LoRA"
    source = "https://arxiv.org/abs/2402.12354"
    packable = True
    config = "LoraConfig"
    options = {"r": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout"}
    least = {"ratio": 1, "rank": 1, "alpha": 1, "dropout": 0}
    below = {"dropout": 1}

    learning_rate: float = 5e-5
    ratio: float = 16.0
    """Learning rate of B over that of A, at least 1."""
    rank: int = 16
    """Inner dimension r, at least 1."""
    alpha: int = 16
    """The update is scaled by alpha / rank."""
    dropout: float = 0.0
    """Chance that an input of A is zeroed in training, in [0, 1)."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def optimizer(self, model: Any, training: Training) -> Any:
        import torch
        from peft.optimizers import create_loraplus_optimizer

        return create_loraplus_optimizer(
            model,
            torch.optim.AdamW,
            lr=self.learning_rate,
            loraplus_lr_ratio=self.ratio,
            loraplus_weight_decay=training.weight_decay,
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [LoraPlus]

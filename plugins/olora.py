"""OLoRA: LoRA that starts from orthonormal factors of each weight (arXiv 2406.01775)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class Olora(PeftMethod):
    """Start A and B from the QR decomposition of the weight and freeze what is left of it.

    Rank, alpha, dropout and learning rate are those of PEFT's example ``olora_finetuning``.
    """

    name = "olora"
    family = "LoRA"
    source = "https://arxiv.org/abs/2406.01775"
    packable = True
    config = "LoraConfig"
    options = {"r": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout"}
    fixed = {"init_lora_weights": "olora"}
    least = {"rank": 1, "alpha": 1, "dropout": 0}
    below = {"dropout": 1}

    learning_rate: float = 3e-4
    rank: int = 32
    """Inner dimension r, at least 1; the change has up to twice this rank."""
    alpha: int = 16
    """The update is scaled by alpha / rank."""
    dropout: float = 0.05
    """Chance that an input of A is zeroed in training, in [0, 1)."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Olora]

"""rsLoRA: LoRA scaled by the root of its rank, so that large ranks learn too (arXiv 2312.03732)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class RsLora(PeftMethod):
    """Add ``alpha / sqrt(rank) * B A`` to the linear layers and train only A and B.

    The learning rate is that of the paper's experiments (section 4), which train ranks from 4 to
    2048; the rank is that of PEFT's method comparison. Our choice: alpha 16, where the comparison
    has 64.
    """

    name = "rslora"
    family = "LoRA"
    source = "https://arxiv.org/abs/2312.03732"
    packable = True
    config = "LoraConfig"
    options = {"r": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout"}
    fixed = {"use_rslora": True}
    least = {"rank": 1, "alpha": 1, "dropout": 0}
    below = {"dropout": 1}

    learning_rate: float = 5e-5
    rank: int = 64
    """Inner dimension r, at least 1."""
    alpha: int = 16
    """The update is scaled by alpha / sqrt(rank)."""
    dropout: float = 0.0
    """Chance that an input of A is zeroed in training, in [0, 1)."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [RsLora]

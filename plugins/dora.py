"""DoRA: LoRA for a weight's direction and trained magnitudes beside it (arXiv 2402.09353)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class Dora(PeftMethod):
    """Train a weight's direction by LoRA and its magnitude by one number for each output.

    Rank, alpha, dropout and learning rate are the paper's for LLaMA-7B on commonsense reasoning at
    half of LoRA's rank (appendix A.3). It leaves out the gate and output projections; write
    ``targets=q_proj+k_proj+v_proj+up_proj+down_proj`` for its layers.
    """

    name = "dora"
    family = "LoRA"
    source = "https://arxiv.org/abs/2402.09353"
    packable = True
    config = "LoraConfig"
    options = {"r": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout"}
    fixed = {"use_dora": True}
    least = {"rank": 1, "alpha": 1, "dropout": 0}
    below = {"dropout": 1}

    learning_rate: float = 2e-4
    rank: int = 16
    """Inner dimension r, at least 1."""
    alpha: int = 32
    """The update is scaled by alpha / rank."""
    dropout: float = 0.05
    """Chance that an input of A is zeroed in training, in [0, 1)."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Dora]

"""RandLoRA: trained scales for a full-rank sum of random low-rank bases (arXiv 2502.00987)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class RandLora(PeftMethod):
    """Train the scales of random bases that all layers share; a lower rank trains more of them.

    Rank 32 and alpha of 20 times the rank are PEFT's defaults, by the paper's author; the learning
    rate is that of PEFT's method comparison. The bases are drawn anew for each seed.
    """

    name = "randlora"
    family = "change of weights"
    source = "https://arxiv.org/abs/2502.00987"
    packable = True
    config = "RandLoraConfig"
    options = {"r": "rank", "randlora_alpha": "alpha"}
    seed_option = "projection_prng_key"
    least = {"rank": 1, "alpha": 1}

    learning_rate: float = 1e-4
    rank: int = 32
    """Rank of each random basis, at least 1."""
    alpha: int = 640
    """The update is scaled by alpha / rank; some 20 times the rank."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [RandLora]

"""DeLoRA: LoRA that learns the direction and the strength of a change apart (arXiv 2503.18225)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class Delora(PeftMethod):
    """Train normalised rank-one updates and, for each layer, the bound of their strength.

    Rank and bound are PEFT's defaults, the learning rate is that of its method comparison; the
    paper's for GLUE is 1e-2 at a bound of 4.
    """

    name = "delora"
    family = "change of weights"
    source = "https://arxiv.org/abs/2503.18225"
    packable = True
    config = "DeloraConfig"
    options = {"r": "rank", "delora_lambda": "bound"}
    least = {"rank": 1, "bound": 1}

    learning_rate: float = 1e-4
    rank: int = 8
    """Inner dimension r, at least 1."""
    bound: int = 15
    """Start of the trained bound of the change, in norms of the weight; at least 1."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Delora]

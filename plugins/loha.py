"""LoHa: the elementwise product of two low-rank updates (FedPara, arXiv 2108.06098)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class Loha(PeftMethod):
    """Add ``alpha / rank * (B1 A1) ∘ (B2 A2)``, whose rank is up to the square of ``rank``.

    Rank and alpha are PEFT's defaults, the learning rate is that of its method comparison.
    """

    name = "loha"
    family = "change of weights"
    source = "https://arxiv.org/abs/2108.06098"
    packable = True
    config = "LoHaConfig"
    options = {"r": "rank", "alpha": "alpha"}
    least = {"rank": 1, "alpha": 1}

    learning_rate: float = 1e-4
    rank: int = 8
    """Rank of each of the two, at least 1."""
    alpha: int = 8
    """The update is scaled by alpha / rank."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Loha]

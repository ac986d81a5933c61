"""LoKr: the Kronecker product of a small matrix and a low-rank one (LyCORIS, arXiv 2309.14859)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class Lokr(PeftMethod):
    """Add ``alpha / rank * C ⊗ (B A)`` to the linear layers, of rank up to ``factor * rank``.

    Rank, factor and learning rate are those of PEFT's method comparison (rank 32, factor 4).
    """

    name = "lokr"
    family = "change of weights"
    source = "https://arxiv.org/abs/2309.14859"
    packable = True
    config = "LoKrConfig"
    options = {"r": "rank", "alpha": "alpha", "decompose_factor": "factor"}
    least = {"rank": 1, "alpha": 1}

    learning_rate: float = 3e-3
    rank: int = 32
    """Rank of the second matrix, at least 1; where the matrix is smaller, it is trained whole."""
    alpha: int = 32
    """The update is scaled by alpha / rank."""
    factor: int = 4
    """Size of C in each dimension, at least 2; -1 takes the divisor nearest to the root."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.factor < 2 and self.factor != -1:
            raise ValueError(f"factor is {self.factor}; it must be -1, or 2 or more")


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Lokr]

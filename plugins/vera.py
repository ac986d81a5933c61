"""VeRA: one random pair A, B for all layers, scaled by trained vectors (arXiv 2310.11454)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class Vera(PeftMethod):
    """Train two vectors for each layer, which scale the rows of a random A and B that all share.

    Rank and the vectors' start are the paper's for RoBERTa large, the learning rate is its for
    instruction tuning of Llama, where the rank is 1024 (appendix A). A and B are drawn anew for
    each seed.
    """

    name = "vera"
    family = "change of weights"
    source = "https://arxiv.org/abs/2310.11454"
    packable = True
    config = "VeraConfig"
    options = {"r": "rank", "d_initial": "start"}
    seed_option = "projection_prng_key"
    least = {"rank": 1}
    above = {"start": 0}

    learning_rate: float = 4e-3
    rank: int = 256
    """Rows of A, at least 1."""
    start: float = 0.1
    """Value at which the vector beside A begins, above 0."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Vera]

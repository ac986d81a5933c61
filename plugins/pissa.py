"""PiSSA: LoRA that starts from a weight's principal singular vectors (arXiv 2404.02948)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class Pissa(PeftMethod):
    """Train the principal part of each weight matrix and freeze what is left of it.

    Alpha equals the rank, there is no dropout, and the learning rate is 2e-5 as in the paper
    (section 5), which tries ranks from 1 to 128 (section 5.5). Our choice: rank 16. The exact
    singular value decomposition is taken.
    """

    name = "pissa"
    family = "LoRA"
    source = "https://arxiv.org/abs/2404.02948"
    packable = True
    config = "LoraConfig"
    options = {"r": "rank", "lora_alpha": "rank"}
    fixed = {"init_lora_weights": "pissa"}
    least = {"rank": 1}

    learning_rate: float = 2e-5
    rank: int = 16
    """Singular vectors that are trained, at least 1; the change has up to twice this rank."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Pissa]

"""OFT: each weight turned by trained orthogonal blocks (arXiv 2306.07280)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class Oft(PeftMethod):
    """Rotate the inputs of each linear layer, ``block`` at a time, by trained rotations.

    Rotations are Cayley's, with the inverse as a sum of five terms (OFTv2, arXiv 2506.19847). The
    block is PEFT's default, the learning rate that of its method comparison.
    """

    name = "oft"
    family = "rotation"
    source = "https://arxiv.org/abs/2306.07280"
    packable = True
    config = "OFTConfig"
    options = {"oft_block_size": "block"}
    least = {"block": 2}

    learning_rate: float = 1e-4
    block: int = 32
    """Inputs that are rotated together, at least 2; must divide the inputs of each layer."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def adapt(self, model: Any, training: Training) -> Any:
        made = super().adapt(model, training)
        # Where a block does not fit, PEFT takes another one.
        sizes = {m.in_features for m in made.modules() if hasattr(m, "oft_R")}
        if unfit := sorted(size for size in sizes if size % self.block):
            raise ValueError(
                f"block is {self.block}; it must divide the inputs of every layer, and "
                f"{', '.join(map(str, unfit))} of this model's cannot be divided by it"
            )
        return made


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Oft]

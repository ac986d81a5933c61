"""BOFT: each weight turned by a butterfly of sparse orthogonal matrices (arXiv 2311.06243)."""

import warnings
from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class Boft(PeftMethod):
    """Rotate the inputs of each linear layer by ``factors`` sparse rotations in a row.

    Block and factors are PEFT's defaults, the learning rate is that of its method comparison. The
    paper's two factors of 8 need PEFT's CUDA extension, built where nvcc and ninja are.
    """

    name = "boft"
    family = "rotation"
    source = "https://arxiv.org/abs/2311.06243"
    packable = True
    config = "BOFTConfig"
    options = {"boft_block_size": "block", "boft_n_butterfly_factor": "factors"}
    least = {"block": 2, "factors": 1}
    even = {"block"}

    learning_rate: float = 1e-4
    block: int = 4
    """Inputs that are rotated together: even, at least 2."""
    factors: int = 1
    """Rotations in a row, at least 1; block * 2^(factors - 1) must divide each layer's inputs."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def adapt(self, model: Any, training: Training) -> Any:
        with warnings.catch_warnings():
            # One for each layer, where the extension is missing.
            warnings.filterwarnings("ignore", message="Failed to load the CUDA extension")
            warnings.filterwarnings("ignore", message="Setting boft_n_butterfly_factor to 1")
            made = super().adapt(model, training)
        found = {len(p) for name, p in made.named_parameters() if ".boft_R." in name}
        if found != {self.factors}:
            raise ValueError(
                f"factors is {self.factors}; without PEFT's CUDA extension, which nvcc and ninja "
                "build, it must be 1"
            )
        return made


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Boft]

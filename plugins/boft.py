"""BOFT: each weight turned by a butterfly of sparse orthogonal matrices (arXiv 2311.06243)."""

import warnings
from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class Boft(Method):
    """Rotate the inputs of each linear layer by ``factors`` sparse rotations in a row.

    Block and factors are PEFT's defaults, the learning rate is that of its method comparison. The
    paper's two factors of 8 need PEFT's CUDA extension, built where nvcc and ninja are.
    """

    name = "boft"
    family = "rotation"
    source = "https://arxiv.org/abs/2311.06243"
    packable = True

    learning_rate: float = 1e-4
    block: int = 4
    """Inputs that are rotated together: even, at least 2."""
    factors: int = 1
    """Rotations in a row, at least 1; block * 2^(factors - 1) must divide each layer's inputs."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block < 2 or self.block % 2:
            raise ValueError(f"block is {self.block}; it must be even and 2 or more")
        self.at_least(1, "factors")

    def adapt(self, model: Any, training: Training) -> Any:
        with warnings.catch_warnings():
            # One for each layer, where the extension is missing.
            warnings.filterwarnings("ignore", message="Failed to load the CUDA extension")
            warnings.filterwarnings("ignore", message="Setting boft_n_butterfly_factor to 1")
            made = peft_model(
                model,
                "BOFTConfig",
                targets=self.targets,
                boft_block_size=self.block,
                boft_n_butterfly_factor=self.factors,
            )
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

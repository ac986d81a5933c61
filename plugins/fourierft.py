"""FourierFT: a few trained coefficients of each change's spectrum (arXiv 2405.03003)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class FourierFt(Method):
    """Train ``coefficients`` of each change's spectrum, at places drawn at random.

    Coefficients, scale and learning rate are the paper's for instruction tuning of Llama
    (appendix B). They start from a normal distribution, as the paper's do. Our choice: the scale is
    the paper's at a width of 4096 and follows the square of the width, by which the transform
    divides: else the start would be noise as large as the weights of a small model.
    """

    name = "fourierft"
    family = "change of weights"
    source = "https://arxiv.org/abs/2405.03003"
    packable = True
    identity = False

    learning_rate: float = 3e-2
    coefficients: int = 1000
    """Trained numbers a layer, at least 1, at most those of the smallest weight matrix."""
    scale: float = 300.0
    """The change is multiplied by it, at a width of 4096; above 0."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "coefficients")
        if not self.scale > 0:
            raise ValueError(f"scale is {self.scale}; it must be above 0")

    def adapt(self, model: Any, training: Training) -> Any:
        import torch

        return peft_model(
            model,
            "FourierFTConfig",
            targets=self.targets,
            n_frequency=self.coefficients,
            scaling=self.scale * (model.config.hidden_size / 4096) ** 2,
            random_loc_seed=int(torch.randint(2**31, ())),
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [FourierFt]

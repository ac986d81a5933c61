"""FourierFT: a few trained coefficients of each change's spectrum (arXiv 2405.03003)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class FourierFt(PeftMethod):
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
    config = "FourierFTConfig"
    options = {"n_frequency": "coefficients"}
    seed_option = "random_loc_seed"
    least = {"coefficients": 1}
    above = {"scale": 0}

    learning_rate: float = 3e-2
    coefficients: int = 1000
    """Trained numbers a layer, at least 1, at most those of the smallest weight matrix."""
    scale: float = 300.0
    """The change is multiplied by it, at a width of 4096; above 0."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def peft_options(self, model: Any, training: Training) -> dict[str, Any]:
        scale = self.scale * (model.config.hidden_size / 4096) ** 2
        return super().peft_options(model, training) | {"scaling": scale}


@hookimpl
def register_methods() -> list[type[Method]]:
    return [FourierFt]

"""Full finetuning: every weight is trained; what the other methods are measured against."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class Full(Method):
    """Train every weight of the base model.

    The default learning rate is the best of the study's grid (arXiv 2411.16775), which is the same
    for every method: 1e-5, 5e-5, 1e-4, 5e-4, 1e-3.
    """

    name = "full"
    family = "all weights"
    source = "https://arxiv.org/abs/2411.16775"
    role = "reference"
    packable = True

    learning_rate: float = 1e-5

    def adapt(self, model: Any, training: Training) -> Any:
        return model


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Full]

"""RoAd: pairs of a layer's outputs, turned and stretched in training (arXiv 2409.00119)."""

import math
from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl, linear_layers


@dataclass(frozen=True, kw_only=True)
class Road(PeftMethod):
    """Rotate and scale pairs of the outputs of each linear layer, by trained angles and factors.

    The group is PEFT's default, the learning rate that of its method comparison.
    """

    name = "road"
    family = "rotation"
    source = "https://arxiv.org/abs/2409.00119"
    packable = True
    config = "RoadConfig"
    options = {"variant": "variant"}
    choices = {"variant": {1: "road_1", 2: "road_2", 4: "road_4"}}
    least = {"group": 2}
    even = {"group"}

    learning_rate: float = 1e-3
    variant: int = 1
    """Trained numbers for each pair, halved: 1, 2 or 4."""
    group: int = 64
    """Outputs within which pairs are made: even, and reduced to what divides every layer's."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def peft_options(self, model: Any, training: Training) -> dict[str, Any]:
        return super().peft_options(model, training) | {"group_size": self._group(model)}

    def _group(self, model: Any) -> int:
        layers = linear_layers(model, self.targets).values()
        shared = math.gcd(*(layer.out_features for layer in layers))
        fit = [n for n in range(2, self.group + 1, 2) if shared % n == 0]
        if not fit:
            raise ValueError(
                f"no group divides the outputs of all layers, whose greatest divisor is {shared}; "
                "leave out layers with an odd number of outputs"
            )
        return fit[-1]


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Road]

"""BitFit: only biases are trained (arXiv 2106.10199)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench import Method, Route, Training, hookimpl, modules


@dataclass(frozen=True, kw_only=True)
class BitFit(Method):
    """Train a bias on every linear layer but the head, and on every norm that has one.

    A layer without a bias is given one of zeros, as in the study (arXiv 2411.16775); Llama-like
    models have none at all. What is trained is the change of each bias, without weight decay. The
    learning rate is from the paper's grid (section 4); the study varies it alone: 1e-5, 5e-5, 1e-4,
    5e-4, 1e-3.
    """

    name = "bitfit"
    family = "selection"
    source = "https://arxiv.org/abs/2106.10199"
    packable = True

    learning_rate: float = 1e-3

    def adapt(self, model: Any, training: Training) -> Any:
        added = [
            modules.AddedModule(layer=path, inputs=inputs, outputs=outputs)
            for path, inputs, outputs in modules.layers_with_bias(model)
        ]
        return modules.attach(model, added)

    def export(self, model: Any, folder: Path) -> Route:
        modules.save(model, folder)
        return "modules"


@hookimpl
def register_methods() -> list[type[Method]]:
    return [BitFit]

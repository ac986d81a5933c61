"""LN tuning: only the normalisation layers are trained (arXiv 2312.11420)."""

import warnings
from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class LnTuning(Method):
    """Train the weights of the normalisation layers, and nothing else.

    The learning rate is that of PEFT's method comparison. PEFT knows the layers' names for common
    architectures; for Llama they are all.
    """

    name = "ln-tuning"
    family = "selection"
    source = "https://arxiv.org/abs/2312.11420"
    packable = True

    learning_rate: float = 1e-4
    targets: str = ""
    """Names of normalisation layers joined by ``+``; empty: PEFT's choice."""

    def adapt(self, model: Any, training: Training) -> Any:
        layers = {"target_modules": self.targets.split("+")} if self.targets else {}
        with warnings.catch_warnings():
            # PEFT knows LayerNorm by its class, and others work as well.
            warnings.filterwarnings("ignore", message="Unsupported layer type")
            return peft_model(model, "LNTuningConfig", targets=None, **layers)


@hookimpl
def register_methods() -> list[type[Method]]:
    return [LnTuning]

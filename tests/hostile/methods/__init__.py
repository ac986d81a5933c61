"""Methods that break one promise each; a plugin of the tests, by what the exam looks at."""

import sys
from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training


@dataclass(frozen=True, kw_only=True)
class Honest(Method):
    """Train the weights of the MLPs; the others break one promise of it."""

    name = "honest"
    source = "https://example.org"
    packable = True

    def adapt(self, model: Any, training: Training) -> Any:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("mlp" in name or "DenseReluDense" in name)
        return model


def methods_of(module: str) -> list[type[Method]]:
    """Return every method that a module defines itself."""
    return [
        item
        for item in vars(sys.modules[module]).values()
        if isinstance(item, type) and issubclass(item, Method) and item.__module__ == module
    ]

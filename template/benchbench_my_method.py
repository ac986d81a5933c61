"""My method: what it does, in one line, and where it is published."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, modules


@dataclass(frozen=True, kw_only=True)
class MyMethod(Method):
    """Train the last layers of the network: say here what yours does.

    Say also where the defaults come from.
    """

    name = "my-method"
    family = "selection"
    source = "https://example.org/where-it-is-described"
    packable = True
    least = {"layers": 1}

    learning_rate: float = 1e-5
    layers: int = 1
    """How many layers are trained, at least 1."""

    def adapt(self, model: Any, training: Training) -> Any:
        model.requires_grad_(False)
        paths = [path for path, _, _ in modules.block_ends(model)]
        for path in paths[-self.layers :]:
            model.get_submodule(path).requires_grad_(True)
        return model


@hookimpl
def register_methods() -> list[type[Method]]:
    return [MyMethod]

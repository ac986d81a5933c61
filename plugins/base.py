"""The untuned base model: what finetuning has to beat."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class Base(Method):
    """Leave the base model as it is; nothing is trained."""

    name = "base"
    family = "none"
    role = "base"

    def adapt(self, model: Any, training: Training) -> Any:
        return model.requires_grad_(False)


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Base]

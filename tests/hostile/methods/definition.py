"""Methods whose class or fields are wrong."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, Unsuited, hookimpl
from tests.hostile.methods import Honest, methods_of


@dataclass(frozen=True, kw_only=True)
class Required(Honest):
    """Has a field without a default."""

    name = "required"

    rank: int
    """The rank."""


@dataclass(frozen=True, kw_only=True)
class Mistyped(Honest):
    """Has a default that its type does not allow."""

    name = "mistyped"

    rank: int = None  # type: ignore[assignment]
    """The rank."""


class Plain(Honest):
    """Is no dataclass of its own."""

    name = "plain"


@dataclass(frozen=True, kw_only=True)
class Undocumented(Honest):
    """Has a field that nobody explains."""

    name = "undocumented"

    rank: int = 4
    alpha: int = 4
    """Explained."""


@dataclass(frozen=True, kw_only=True)
class Silent(Honest):
    name = "silent"


@dataclass(frozen=True, kw_only=True)
class Choosy(Honest):
    """Takes no small model."""

    name = "choosy"

    def adapt(self, model: Any, training: Training) -> Any:
        raise Unsuited("the model is too small")


@hookimpl
def register_methods() -> list[type[Method]]:
    """Return every method of this module."""
    return methods_of(__name__)

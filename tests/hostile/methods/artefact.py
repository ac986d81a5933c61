"""Methods that leave something wrong behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench import Method, Route, Training, hookimpl
from tests.hostile.methods import Honest, methods_of


@dataclass(frozen=True, kw_only=True)
class Pickles(Honest):
    """Exports a pickle."""

    name = "pickles"

    def export(self, model: Any, folder: Path) -> Route:
        import torch

        torch.save(model.state_dict(), folder / "weights.bin")
        return "weights"


@dataclass(frozen=True, kw_only=True)
class Indiscreet(Honest):
    """Writes down where it is."""

    name = "indiscreet"

    def export(self, model: Any, folder: Path) -> Route:
        model.save_pretrained(folder)
        (folder / "note.json").write_text(f'"{folder}"')
        return "weights"


@dataclass(frozen=True, kw_only=True)
class BaseAgain(Honest):
    """Exports the base model instead of what was trained."""

    name = "base-again"

    def adapt(self, model: Any, training: Training) -> Any:
        model.before = {k: v.clone() for k, v in model.state_dict().items()}
        return super().adapt(model, training)

    def export(self, model: Any, folder: Path) -> Route:
        model.load_state_dict(model.before)
        model.save_pretrained(folder)
        return "weights"


@dataclass(frozen=True, kw_only=True)
class Halved(Honest):
    """Exports weights other than those that were trained."""

    name = "halved"

    def export(self, model: Any, folder: Path) -> Route:
        model.model.layers[1].mlp.down_proj.weight.data.mul_(0.5)
        model.save_pretrained(folder)
        return "weights"


@dataclass(frozen=True, kw_only=True)
class Misrouted(Honest):
    """Exports whole weights and calls them an adapter."""

    name = "misrouted"

    def export(self, model: Any, folder: Path) -> Route:
        model.save_pretrained(folder)
        return "lora"


@dataclass(frozen=True, kw_only=True)
class Vandal(Honest):
    """Writes into the base model's folder."""

    name = "vandal"

    def adapt(self, model: Any, training: Training) -> Any:
        (Path(model.config._name_or_path) / "mine.json").write_text("{}")
        return super().adapt(model, training)


@hookimpl
def register_methods() -> list[type[Method]]:
    """Return every method of this module."""
    return methods_of(__name__)

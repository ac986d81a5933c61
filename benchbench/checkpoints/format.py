"""What a checkpoint is to an engine, whatever its route."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from benchbench.models.base import BaseModel
from benchbench.models.logprobs import Inputs


class Format(ABC):
    """What a checkpoint of one route holds; an instance has been read, and checked.

    A class is a route's in ``routes.FORMATS``. Engines are given what was read, so that no file is
    read and judged twice.
    """

    @classmethod
    @abstractmethod
    def read(cls, folder: Path, base: BaseModel) -> "Format":
        """Read a folder; CheckpointError unless it is whole, finite, and of the base model."""

    @property
    def tokens(self) -> int:
        """Positions it takes before every prompt."""
        return 0

    def before(self, model: Any, ids: Any, mask: Any) -> dict[str, Any]:
        """Return a model's arguments for prompts [rows, tokens], padded as ``pad`` does it."""
        return {"input_ids": ids, "attention_mask": mask}

    def inputs(self, model: Any) -> Inputs:
        """Return what turns a prompt into a model's arguments, without padding."""
        return lambda ids: self.before(model, ids, ids.new_ones(ids.shape))

    def put_on(self, model: Any) -> Any:
        """Return the transformers model that a base model becomes with it."""
        return model

    def take_off(self, model: Any) -> Any | None:
        """Return the base model again; None where it must be read anew."""
        return model


class Untuned(Format):
    """Of the base model itself: nothing."""

    @classmethod
    def read(cls, folder: Path, base: BaseModel) -> "Untuned":
        return cls()

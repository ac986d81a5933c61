"""PEFT's own format: what no faster route serves without loss."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.checkpoints.format import Format
from benchbench.errors import CheckpointError, reading
from benchbench.models.base import BaseModel
from benchbench.models.files import refuse_others, shapes_of

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class PeftAdapter(Format):
    """A folder that PEFT reads, with finite tensors and no code."""

    folder: Path

    @classmethod
    def read(cls, folder: Path, base: BaseModel) -> "PeftAdapter":
        refuse_others(folder)
        if not isinstance(read_config(folder).get("peft_type"), str):
            raise CheckpointError(
                f"{str(folder / CONFIG)!r} does not say its peft_type; save the adapter again."
            )
        if not shapes_of(folder / WEIGHTS):
            raise CheckpointError(f"{str(folder)!r} holds no weights; save the adapter again.")
        return cls(folder)

    def put_on(self, model: Any) -> Any:
        return read_by_peft(model, self.folder)

    def take_off(self, model: Any) -> None:
        """What some types of PEFT leave behind is not known."""


def read_config(folder: Path) -> dict[str, Any]:
    """Return an adapter's configuration; of what is no JSON object, an empty one."""
    path = folder / CONFIG
    with reading(repr(str(path)), CheckpointError, "save the adapter again"):
        config = json.loads(path.read_bytes())
    return config if isinstance(config, dict) else {}


def read_by_peft(model: Any, folder: Path) -> Any:
    """Return a model with the adapter of a folder, ready to be asked."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, folder).eval()

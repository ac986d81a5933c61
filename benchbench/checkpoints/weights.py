"""Full weights: our own checks of a folder, before any engine sees it.

vLLM swaps weights into the live model by name. What has no place there, or is missing, it skips
with a warning at most, and then serves a mixture of two models.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.checkpoints.format import Format
from benchbench.errors import CheckpointError, ModelError
from benchbench.models.architecture import Architecture, differences, read_config
from benchbench.models.base import BaseModel
from benchbench.models.files import Shape, open_tensors, refuse_others, shapes_of, weight_files
from benchbench.records.record import Checkpoint
from benchbench.specs import Precision


@dataclass(frozen=True)
class Weights(Format):
    """Finite weights of the base model's architecture, all of them."""

    files: Sequence[Path]

    @classmethod
    def read(cls, folder: Path, base: BaseModel) -> "Weights":
        refuse_others(folder)
        if (folder / "adapter_config.json").exists():
            raise CheckpointError(
                f"{str(folder)!r} holds an adapter beside full weights, and engines differ in what "
                "they make of that; keep one of the two."
            )
        if unlike := differences(read_config(folder, CheckpointError), base.architecture):
            raise CheckpointError(
                f"{str(folder)!r} is of another base model: its config.json says "
                f"{', '.join(unlike[:3])}, unlike {base.folder.name!r}; weights are served beside "
                "the base model they were trained from."
            )
        files = weight_files(folder, CheckpointError)
        _compare(folder, shapes_of(*files), _stored(base), base.architecture)
        return cls(files)

    def put_on(self, model: Any) -> Any:
        from safetensors.torch import load_file

        tensors = {name: t for file in self.files for name, t in load_file(file).items()}
        _, unknown = model.load_state_dict(tensors, strict=False)  # what is tied has one name
        if unknown:  # the names were compared with those of the base model's files
            raise CheckpointError(f"it holds {unknown[0]}, which the base model has not")
        model.tie_weights()
        return model

    def take_off(self, model: Any) -> None:
        """The base model's weights are gone."""


def write(model: Any, folder: Path, precision: Precision) -> None:
    """Write all weights of a model, rounded once."""
    import torch

    model.config.tie_word_embeddings = is_tied(model)
    model.to(getattr(torch, precision))
    model.save_pretrained(folder)


def is_tied(model: Any) -> bool:
    """Tell whether a model's head and embeddings are one tensor."""
    return head_weight(model) is model.get_input_embeddings().weight


def head_weight(model: Any) -> Any:
    return getattr(model.get_output_embeddings(), "weight", None)


def base_for(checkpoint: Checkpoint, base: BaseModel, scratch: Path) -> BaseModel:
    """Return the model to open an engine with for a checkpoint: the base, or an untied copy.

    The copy is made in ``scratch`` once, for a checkpoint with a head of its own where the base
    model has none. Raises CheckpointError where the checkpoint cannot be read.
    """
    if checkpoint.route != "weights" or not has_own_head(checkpoint.folder, base):
        return base
    copy = scratch / base.folder.name
    if not copy.exists():
        write_untied(base, copy)
    return BaseModel(copy)


def has_own_head(folder: Path, base: BaseModel) -> bool:
    """Tell whether a folder's weights have a head of their own where the base model has not."""
    own = read_config(folder, CheckpointError)
    return _says_tied(base.config) and not _says_tied(own)


def write_untied(base: BaseModel, folder: Path) -> None:
    """Copy a base model, with the head as weights of its own: an engine opened with tied weights
    would leave a checkpoint's own head out."""
    from torch.nn import Parameter

    weights = shutil.ignore_patterns("*.safetensors", "*.safetensors.index.json", "*.bin")
    shutil.copytree(base.folder, folder, ignore=weights)
    model = base.load("auto")
    head = model.get_output_embeddings()
    head.weight = Parameter(head.weight.detach().clone())
    model.config.get_text_config().tie_word_embeddings = False
    model.save_pretrained(folder)


def _says_tied(config: Any) -> bool:
    return bool(config.get_text_config().tie_word_embeddings)


def _compare(
    folder: Path, found: dict[str, Shape], wanted: dict[str, Shape], base: Architecture
) -> None:
    head = f"{base.head}.weight"
    if base.tied and head in found:
        raise CheckpointError(
            f"{str(folder)!r} holds {head}, but the base model ties its head to its embeddings, so "
            "it would be left out silently; train on a base model with tie_word_embeddings=false."
        )
    for name in sorted(wanted.keys() ^ found.keys()):
        what = "lacks" if name in wanted else "holds"
        raise CheckpointError(
            f"{str(folder)!r} {what} {name}, unlike the base model; weights must have the same "
            "names as the base model's, as save_pretrained writes them."
        )
    for name, shape in wanted.items():
        if found[name] != shape:
            raise CheckpointError(
                f"{name} in {str(folder)!r} has the shape {found[name]}; the base model's is "
                f"{shape}. It is of another base model, or its vocabulary was resized."
            )


def _stored(model: BaseModel) -> dict[str, Shape]:
    """Return names and shapes of the base model's weights; only headers are read."""
    shapes: dict[str, Shape] = {}
    try:
        for path in weight_files(model.folder, ModelError):
            with open_tensors(path) as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    shapes[name] = tuple(file.get_slice(name).get_shape())
    except CheckpointError as error:
        raise ModelError(str(error)) from error
    # Some models come with a copy of what is tied, or with buffers older versions stored.
    return {
        name: shape
        for name, shape in shapes.items()
        if name not in model.architecture.aliases and not name.endswith("rotary_emb.inv_freq")
    }

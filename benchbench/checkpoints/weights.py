"""Our own checks of a folder of full weights, before any engine sees it.

vLLM swaps weights into the live model by name. What has no place there, or is missing, it skips
with a warning at most, and then serves a mixture of two models.
"""

import shutil
from pathlib import Path
from typing import Any

from benchbench.errors import CheckpointError, ModelError
from benchbench.models.architecture import Architecture, differences, read_config
from benchbench.models.base import BaseModel
from benchbench.models.files import Shape, open_tensors, read_finite, refuse_others, weight_files
from benchbench.records.record import Checkpoint


def check_weights(folder: Path, model: BaseModel) -> None:
    """Raise CheckpointError unless the folder holds finite weights of the base architecture."""
    base = model.architecture
    refuse_others(folder)
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(
            f"{str(folder)!r} holds an adapter beside full weights, and engines differ in what "
            "they make of that; keep one of the two."
        )
    if unlike := differences(read_config(folder, CheckpointError), base):
        raise CheckpointError(
            f"{str(folder)!r} is of another base model: its config.json says "
            f"{', '.join(unlike[:3])}, unlike {model.folder.name!r}; weights are served beside the "
            "base model they were trained from."
        )
    files = weight_files(folder, CheckpointError)
    found = {name: shape for path in files for name, shape in read_finite(path).items()}
    _compare(folder, found, _stored(model.folder, base), base)


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
    return _is_tied(base.config) and not _is_tied(read_config(folder, CheckpointError))


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


def _is_tied(config: Any) -> bool:
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


def _stored(folder: Path, base: Architecture) -> dict[str, Shape]:
    """Return names and shapes of the base model's weights; only headers are read."""
    shapes: dict[str, Shape] = {}
    try:
        for path in weight_files(folder, ModelError):
            with open_tensors(path) as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    shapes[name] = tuple(file.get_slice(name).get_shape())
    except CheckpointError as error:
        raise ModelError(str(error)) from error
    # Some models come with a copy of what is tied, or with buffers older versions stored.
    return {
        name: shape
        for name, shape in shapes.items()
        if name not in base.aliases and not name.endswith("rotary_emb.inv_freq")
    }

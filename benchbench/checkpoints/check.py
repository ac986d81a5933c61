"""Our own checks of a checkpoint, by its route, before any engine sees it."""

import json
from collections.abc import Callable
from pathlib import Path

from benchbench.checkpoints import modules
from benchbench.checkpoints.learned import read_learned
from benchbench.checkpoints.lora import check_adapter
from benchbench.checkpoints.weights import check_weights
from benchbench.errors import CheckpointError, brief
from benchbench.models.architecture import Architecture
from benchbench.models.base import BaseModel
from benchbench.models.files import read_finite, refuse_others
from benchbench.records.record import Checkpoint


def check_checkpoint(checkpoint: Checkpoint, model: BaseModel) -> None:
    """Raise CheckpointError unless a checkpoint is whole, finite, and of a base model."""
    base = model.architecture
    checks: dict[str, Callable[[Path], object]] = {
        "base": lambda folder: None,
        "lora": lambda folder: check_adapter(folder, base),
        "soft_prompt": lambda folder: read_learned(folder, base),
        "prefix": lambda folder: read_learned(folder, base),
        "modules": lambda folder: check_modules(folder, base),
        "weights": lambda folder: check_weights(folder, model),
        "transformers": check_peft,
    }
    if checkpoint.route not in checks:
        raise CheckpointError(
            f"run {checkpoint.run_id} is served by route {checkpoint.route!r}, which no engine "
            f"knows; known are {', '.join(checks)}."
        )
    checks[checkpoint.route](checkpoint.folder)


def check_modules(folder: Path, base: Architecture) -> list[modules.AddedModule]:
    """Return the added modules of a folder; CheckpointError unless they fit the base model."""
    from safetensors import SafetensorError

    refuse_others(folder)
    try:
        added, _ = modules.read(folder)
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"the added modules in {str(folder)!r} cannot be read ({brief(error)}); run again to "
            "train them."
        ) from error
    wanted = {
        f"{module.layer}.{name}": shape for module in added for name, shape in module.shapes.items()
    }
    found = read_finite(folder / modules.WEIGHTS)
    if not added or len(added) != len({module.layer for module in added}) or found != wanted:
        raise CheckpointError(
            f"{modules.WEIGHTS} in {str(folder)!r} is not what its {modules.CONFIG} says; run "
            "again to train it."
        )
    for module in added:
        outputs, inputs = base.linear.get(module.layer, (base.hidden, base.hidden))
        if module.layer not in base.layers or module.outputs != outputs:
            raise CheckpointError(
                f"{str(folder)!r} adds {module.outputs} numbers to {module.layer}, but the base "
                f"model ({base.name}) has no such layer; it is of another base model."
            )
        if module.width and module.inputs != (inputs if module.parallel else outputs):
            raise CheckpointError(
                f"{str(folder)!r} reads {module.inputs} numbers at {module.layer}, where the base "
                f"model has {inputs if module.parallel else outputs}; it is of another base model."
            )
    return added


def check_peft(folder: Path) -> None:
    """Raise CheckpointError unless a folder holds finite tensors in PEFT's format, and no code."""
    refuse_others(folder)
    path = folder / "adapter_config.json"
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{str(path)!r} cannot be read ({brief(error)}); save the adapter again."
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("peft_type"), str):
        raise CheckpointError(f"{str(path)!r} does not say its peft_type; save the adapter again.")
    if not read_finite(folder / "adapter_model.safetensors"):
        raise CheckpointError(f"{str(folder)!r} holds no weights; save the adapter again.")

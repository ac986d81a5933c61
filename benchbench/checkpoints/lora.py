"""LoRA adapters: our own checks of a folder, before any engine sees it.

Adapters come from strangers, and vLLM takes some silently although they are wrong: of a smaller
base model (it pads), of a deeper one (it ignores the other layers), with NaN in them (they spoil
their neighbours), or incomplete. An adapter it refuses while requests are running is worse: the
engine dies.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.checkpoints.format import Format
from benchbench.checkpoints.low_rank import Factors
from benchbench.checkpoints.peft import CONFIG, WEIGHTS, read_by_peft, read_config
from benchbench.errors import CheckpointError
from benchbench.models.architecture import Architecture
from benchbench.models.base import BaseModel
from benchbench.models.files import Shape, refuse_others, shapes_of, write_tensors

PLAIN = frozenset(
    "alpha_pattern auto_mapping base_model_name_or_path bias corda_config eva_config "
    "exclude_modules fan_in_fan_out inference_mode init_lora_weights layers_pattern "
    "layers_to_transform loftq_config lora_alpha lora_dropout lora_ga_config megatron_config "
    "megatron_core peft_type peft_version qalora_group_size r rank_pattern revision runtime_config "
    "target_modules task_type use_rslora".split()
)
"""Fields that a plain LoRA may set (PEFT 0.21). Any other field that is set changes what the
adapter computes, in a way that engines do not share."""

UNSET: tuple[Any, ...] = (None, False, [], {}, "none")

INITIALISATIONS = (True, False, None, "gaussian", "eva", "orthogonal", "mica")
"""The others (PiSSA, OLoRA, CorDA, LoRA-GA, LoftQ) change the base model's weights too; vLLM takes
some of them and scores them wrongly."""

TENSOR = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])\.weight")


@dataclass(frozen=True, kw_only=True)
class Adapter(Format):
    """A whole, finite, plain LoRA that fits its base model."""

    folder: Path
    rank: int
    """The largest of its layers."""
    targets: tuple[str, ...]
    """Last names of the layers it adapts, e.g. ``q_proj``."""

    @classmethod
    def read(cls, folder: Path, base: BaseModel) -> "Adapter":
        refuse_others(folder)
        config = _read_plain(folder)
        if not (folder / WEIGHTS).is_file():
            raise CheckpointError(f"{str(folder)!r} lacks {WEIGHTS}; save the adapter again.")
        if others := {path.name for path in folder.glob("*.safetensors")} - {WEIGHTS}:
            raise CheckpointError(
                f"{str(folder)!r} holds {min(others)}; an adapter is served from {WEIGHTS} alone."
            )
        pairs = _pairs(folder, shapes_of(folder / WEIGHTS))
        for layer, shapes in pairs.items():
            _check_layer(folder, layer, shapes, config, base.architecture)
        if missing := _wanted(config, base.architecture) - pairs.keys():
            raise CheckpointError(
                f"{str(folder)!r} lacks the weights of {min(missing)}, which its {CONFIG} targets; "
                "it is incomplete or of a base model with fewer layers."
            )
        return cls(
            folder=folder,
            rank=max(shapes["A"][0] for shapes in pairs.values()),
            targets=tuple(sorted({layer.rpartition(".")[2] for layer in pairs})),
        )

    def put_on(self, model: Any) -> Any:
        return read_by_peft(model, self.folder)

    def take_off(self, model: Any) -> Any:
        return model.unload()


def write(factors: Mapping[str, Factors], model: str, base: Architecture, folder: Path) -> None:
    """Write a change of linear layers as a plain LoRA in PEFT's format.

    Factors are padded with zeros to one rank; ``model`` is the base model's name.
    """
    from torch.nn.functional import pad

    rank = max(1, *(len(a) for a, _ in factors.values()))
    tensors = {}
    for layer, (a, b) in factors.items():
        lacking = rank - len(a)
        tensors[f"base_model.model.{layer}.lora_A.weight"] = pad(a, (0, 0, 0, lacking))
        tensors[f"base_model.model.{layer}.lora_B.weight"] = pad(b, (0, lacking))
    write_tensors(folder / WEIGHTS, tensors)
    config = {
        "peft_type": "LORA",
        "task_type": "SEQ_2_SEQ_LM" if base.encoder_decoder else "CAUSAL_LM",
        "base_model_name_or_path": model,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "target_modules": sorted(factors),
        "bias": "none",
        "inference_mode": True,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1))


def _read_plain(folder: Path) -> dict[str, Any]:
    path, config = folder / CONFIG, read_config(folder)
    if (kind := config.get("peft_type")) != "LORA":
        raise CheckpointError(
            f"peft_type in {str(path)!r} is {kind!r}; only 'LORA' is served as an adapter. Export "
            "other methods as full weights (route = 'weights')."
        )
    # A bias, and how the weights began, are plain or not by their value.
    plain = PLAIN - {"bias", "init_lora_weights"}
    for key, value in config.items():
        allowed = INITIALISATIONS if key == "init_lora_weights" else UNSET
        if key not in plain and value not in allowed:
            raise CheckpointError(
                f"{key} in {str(path)!r} is {value!r}, which is more than plain LoRA; export it as "
                "full weights (route = 'weights') or convert it to a plain LoRA."
            )
    _check_numbers(path, config)
    return config


def _check_numbers(path: Path, config: Mapping[str, Any]) -> None:
    ranks = {"r": config.get("r"), **(config.get("rank_pattern") or {})}
    for key, value in ranks.items():
        if type(value) is not int or value < 1:
            raise CheckpointError(
                f"the rank {key}={value!r} in {str(path)!r} must be a whole number above 0."
            )
    alphas = {"lora_alpha": config.get("lora_alpha"), **(config.get("alpha_pattern") or {})}
    for key, value in alphas.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            raise CheckpointError(f"{key}={value!r} in {str(path)!r} must be a finite number.")


def _pairs(folder: Path, shapes: Mapping[str, Shape]) -> dict[str, dict[str, Shape]]:
    pairs: dict[str, dict[str, Shape]] = {}
    for name, shape in shapes.items():
        if not (match := TENSOR.fullmatch(name)):
            raise CheckpointError(
                f"{name} in {str(folder / WEIGHTS)!r} is not LoRA's A or B of a linear layer; only "
                "plain LoRA is served as an adapter."
            )
        pairs.setdefault(match["layer"], {})[match["side"]] = shape
    if not pairs:
        raise CheckpointError(f"{str(folder / WEIGHTS)!r} is empty; save the adapter again.")
    return pairs


def _check_layer(
    folder: Path,
    layer: str,
    shapes: Mapping[str, Shape],
    config: Mapping[str, Any],
    base: Architecture,
) -> None:
    if layer == base.head:
        raise CheckpointError(
            f"{str(folder)!r} adapts {layer}, the head, whose adapter vLLM leaves out of prompt "
            "log-probabilities; export it as full weights (route = 'weights')."
        )
    if layer not in base.linear:
        raise CheckpointError(
            f"{str(folder)!r} adapts {layer}, but the base model ({base.name}) has no such linear "
            "layer; it is of another base model."
        )
    rank = _by_pattern(config.get("rank_pattern") or {}, layer, config["r"])
    outputs, inputs = base.linear[layer]
    wanted = {"A": (rank, inputs), "B": (outputs, rank)}
    for side, shape in wanted.items():
        if shapes.get(side) != shape:
            raise CheckpointError(
                f"lora_{side} of {layer} in {str(folder)!r} has the shape {shapes.get(side)}; rank "
                f"{rank} on this base model needs {shape}. It is of another base model or corrupt."
            )


def _by_pattern(patterns: Mapping[str, int], layer: str, default: int) -> int:
    """Return the value of the first pattern that fits a layer, as PEFT finds it."""
    fitting = (value for key, value in patterns.items() if _fits(rf"(.*\.)?({key})", layer))
    return next(fitting, default)


def _wanted(config: Mapping[str, Any], base: Architecture) -> set[str]:
    """Return the layers an adapter must hold, as PEFT reads its target_modules."""
    chosen = config.get("layers_to_transform")
    numbers = {chosen} if isinstance(chosen, int) else set(chosen or [])
    return {
        layer
        for layer in base.linear
        if _names(config.get("target_modules"), layer)
        and not _names(config.get("exclude_modules"), layer)
        and (not numbers or any(int(part) in numbers for part in re.findall(r"\.(\d+)\.", layer)))
    }


def _names(targets: Any, layer: str) -> bool:
    if isinstance(targets, str):
        return targets == "all-linear" or _fits(targets, layer)
    return any(layer == name or layer.endswith(f".{name}") for name in targets or [])


def _fits(pattern: str, layer: str) -> bool:
    try:
        return re.fullmatch(pattern, layer) is not None
    except re.error as error:
        raise CheckpointError(
            f"{pattern!r} in an adapter's {CONFIG} is not a regular expression ({error}); save the "
            "adapter again."
        ) from error

"""Small trained networks beside layers of a base model: bottleneck adapters and added biases.

A method says what it adds where. Training, both engines and the checkpoint share that description,
so that what is served is what was trained.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchbench.checkpoints.format import Format
from benchbench.errors import CheckpointError, reading
from benchbench.models.architecture import Architecture
from benchbench.models.base import BaseModel
from benchbench.models.files import finite_tensors, refuse_others, write_tensors

ACTIVATIONS = ("relu", "gelu", "silu", "tanh")

CONFIG = "modules.json"
WEIGHTS = "modules.safetensors"

CHILD = "added"
"""Name of the added module within its layer, and in the names of its trained weights."""


@dataclass(frozen=True, kw_only=True)
class AddedModule:
    """Adds ``scale * (up(activation(down(x))) + bias)`` to what a layer puts out.

    Its weights are ``down`` [width, inputs], ``down_bias`` [width], ``up`` [outputs, width] and
    ``bias`` [outputs]; of width 0 there is only ``bias``.
    """

    layer: str
    """Path of a layer, e.g. ``model.layers.0.mlp.down_proj``."""
    inputs: int
    """Size of x, which is the layer's output or, in parallel, its input."""
    outputs: int
    width: int = 0
    """Size of the bottleneck."""
    activation: str = "relu"
    """``relu``, ``gelu``, ``silu`` or ``tanh``."""
    scale: float = 1.0
    parallel: bool = False
    """Whether x is what goes into the layer, instead of what comes out."""

    def __post_init__(self) -> None:
        if self.width < 0:
            raise ValueError(f"the width of an added module is {self.width}; it must be 0 or more")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation is {self.activation!r}; it is one of {', '.join(ACTIVATIONS)}"
            )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each of its weights."""
        inner = {
            "down": (self.width, self.inputs),
            "down_bias": (self.width,),
            "up": (self.outputs, self.width),
        }
        return (inner if self.width else {}) | {"bias": (self.outputs,)}


@dataclass(frozen=True)
class Added(Format):
    """Added modules, and their weights as ``<layer>.<name>``."""

    modules: Sequence[AddedModule]
    weights: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, base: BaseModel) -> "Added":
        refuse_others(folder)
        what = f"{CONFIG} in {str(folder)!r}"
        with reading(what, CheckpointError, "run again to train it"):
            modules = _read_description(folder)
        weights = dict(finite_tensors(folder / WEIGHTS))
        wanted = {f"{m.layer}.{name}": shape for m in modules for name, shape in m.shapes.items()}
        twice = len(modules) != len({module.layer for module in modules})
        if not modules or twice or {k: tuple(t.shape) for k, t in weights.items()} != wanted:
            raise CheckpointError(
                f"{WEIGHTS} in {str(folder)!r} is not what its {CONFIG} says; run "
                "again to train it."
            )
        for module in modules:
            _check_place(folder, module, base.architecture)
        return cls(modules, weights)

    def put_on(self, model: Any) -> Any:
        attach(model, self.modules)
        for module in self.modules:
            own = getattr(model.get_submodule(module.layer), CHILD)
            for name in module.shapes:
                own[name].data.copy_(self.weights[f"{module.layer}.{name}"])
        return model

    def take_off(self, model: Any) -> Any:
        detach(model)
        return model


def attach(
    model: Any, added: Sequence[AddedModule], *, down_std: float = 0.02, up_std: float = 0.0
) -> Any:
    """Freeze a transformers model and add modules, which alone are trained.

    ``down`` and ``up`` are drawn from N(0, std), biases are 0; with ``up_std`` 0 the model computes
    at first what it did before.
    """
    import torch

    model.requires_grad_(False)
    for module in added:
        layer = model.get_submodule(module.layer)
        if hasattr(layer, CHILD):
            raise ValueError(f"{module.layer} has an added module already; a layer takes one")
        place = next(model.parameters())
        weights: Any = torch.nn.ParameterDict(
            {
                name: torch.zeros(shape, device=place.device, dtype=place.dtype)
                for name, shape in module.shapes.items()
            }
        )
        for name, std in (("down", down_std), ("up", up_std)):
            if name in weights and std:
                torch.nn.init.normal_(weights[name], std=std)
        layer.register_module(CHILD, weights)
        # Kept on the layer, so that it goes with it: the description and what undoes the hook.
        layer.added_module = module
        layer.added_hook = layer.register_forward_hook(
            partial(_add, module, weights), with_kwargs=True
        )
    return model


def detach(model: Any) -> None:
    """Take every added module off again."""
    for layer in _adapted(model):
        layer.added_hook.remove()
        delattr(layer, CHILD)
        del layer.added_module, layer.added_hook


def save(model: Any, folder: Path) -> None:
    """Write the added modules of a model; the base model's weights are not written."""
    layers = _adapted(model)
    described = [asdict(layer.added_module) for layer in layers]
    (folder / CONFIG).write_text(json.dumps(described, indent=1))
    weights = {
        f"{layer.added_module.layer}.{name}": tensor
        for layer in layers
        for name, tensor in getattr(layer, CHILD).items()
    }
    write_tensors(folder / WEIGHTS, weights)


def read(folder: Path) -> tuple[list[AddedModule], dict[str, Any]]:
    """Return the modules of a folder and their weights, as ``<layer>.<name>``.

    Raises OSError, ValueError, TypeError or SafetensorError where they cannot be read.
    """
    from safetensors.torch import load_file

    return _read_description(folder), load_file(folder / WEIGHTS)


def load(model: Any, folder: Path) -> None:
    """Add the modules of a folder, with their weights, to the model they were trained on."""
    Added(*read(folder)).put_on(model)


def addition(module: AddedModule, weights: Mapping[str, Any], x: Any) -> Any:
    """Return what a module adds: a tensor [..., outputs] for x [..., inputs]."""
    from torch.nn import functional

    if not module.width:
        return module.scale * weights["bias"]
    inner = functional.linear(x, weights["down"], weights["down_bias"])
    inner = getattr(functional, module.activation)(inner)
    return module.scale * functional.linear(inner, weights["up"], weights["bias"])


def _read_description(folder: Path) -> list[AddedModule]:
    return [AddedModule(**entry) for entry in json.loads((folder / CONFIG).read_bytes())]


def _check_place(folder: Path, module: AddedModule, base: Architecture) -> None:
    """Refuse a module whose layer the base model does not have, or has in another size."""
    outputs, inputs = base.linear.get(module.layer, (base.hidden, base.hidden))
    if module.layer not in base.layers or module.outputs != outputs:
        raise CheckpointError(
            f"{str(folder)!r} adds {module.outputs} numbers to {module.layer}, but the base "
            f"model ({base.name}) has no such layer; it is of another base model."
        )
    x = inputs if module.parallel else outputs
    if module.width and module.inputs != x:
        raise CheckpointError(
            f"{str(folder)!r} reads {module.inputs} numbers at {module.layer}, where the base "
            f"model has {x}; it is of another base model."
        )


def _add(
    module: AddedModule,
    weights: Mapping[str, Any],
    layer: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    output: Any,
) -> Any:
    """Be a layer's forward hook; layers may return a tuple whose first entry is the output."""
    first = output[0] if isinstance(output, tuple) else output
    x = first
    if module.parallel:
        x = args[0] if args else next(iter(kwargs.values()))
    changed = first + addition(module, weights, x).to(first.dtype)
    return (changed, *output[1:]) if isinstance(output, tuple) else changed


def _adapted(model: Any) -> list[Any]:
    return [layer for layer in model.modules() if hasattr(layer, CHILD)]

"""Small trained networks beside layers of a base model: bottleneck adapters and added biases.

A method says what it adds where. Training, both engines and the checkpoint share that description,
so that what is served is what was trained.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

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
    for _, layer in list(_adapted(model)):
        layer.added_hook.remove()
        delattr(layer, CHILD)
        del layer.added_module, layer.added_hook


def save(model: Any, folder: Path) -> None:
    """Write the added modules of a model; the base model's weights are not written."""
    from safetensors.torch import save_file

    layers = list(_adapted(model))
    (folder / CONFIG).write_text(
        json.dumps([asdict(layer.added_module) for _, layer in layers], indent=1)
    )
    weights = {
        f"{layer.added_module.layer}.{name}": tensor.detach().cpu().contiguous()
        for _, layer in layers
        for name, tensor in getattr(layer, CHILD).items()
    }
    save_file(weights, folder / WEIGHTS)


def read(folder: Path) -> tuple[list[AddedModule], dict[str, Any]]:
    """Return the modules of a folder and their weights, as ``<layer>.<name>``.

    Raises OSError, ValueError, TypeError or SafetensorError where they cannot be read.
    """
    from safetensors.torch import load_file

    described = json.loads((folder / CONFIG).read_bytes())
    return [AddedModule(**entry) for entry in described], load_file(folder / WEIGHTS)


def load(model: Any, folder: Path) -> None:
    """Add the modules of a folder, with their weights, to the model they were trained on."""
    added, weights = read(folder)
    attach(model, added)
    for module in added:
        own = getattr(model.get_submodule(module.layer), CHILD)
        for name in module.shapes:
            own[name].data.copy_(weights[f"{module.layer}.{name}"])


def addition(module: AddedModule, weights: Mapping[str, Any], x: Any) -> Any:
    """Return what a module adds: a tensor [..., outputs] for x [..., inputs]."""
    from torch.nn import functional

    if not module.width:
        return module.scale * weights["bias"]
    inner = functional.linear(x, weights["down"], weights["down_bias"])
    inner = getattr(functional, module.activation)(inner)
    return module.scale * functional.linear(inner, weights["up"], weights["bias"])


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


def _adapted(model: Any) -> Iterator[tuple[str, Any]]:
    return ((path, layer) for path, layer in model.named_modules() if hasattr(layer, CHILD))


def block_ends(model: Any) -> Iterator[tuple[str, str, str]]:
    """Yield for each layer of a model: its path, and those of the linear layers that end its
    self-attention and its feed-forward block.

    Both end in their last linear layer that puts out the hidden size, in every architecture of
    transformers that is known to us; ValueError where a layer has no such two. Encoder-decoder
    models have layers of both kinds, whose attention to themselves comes before cross-attention.
    """
    hidden = model.config.get_text_config().hidden_size
    for path, layer in _layers(model):
        linear = [
            name
            for name, child in layer.named_modules()
            if (sizes := _sizes(child)) and sizes[1] == hidden
        ]
        attention = [name for name in linear if "att" in _block(name).lower()]
        own = [name for name in attention if _block(name) == _block(attention[0])]
        others = [name for name in linear if name not in attention]
        if not own or not others:
            raise ValueError(
                f"{path} of {type(model).__name__} has no attention and feed-forward block of "
                "linear layers, between which adapters are put"
            )
        yield path, f"{path}.{own[-1]}", f"{path}.{others[-1]}"


def layers_with_bias(model: Any) -> Iterator[tuple[str, int, int]]:
    """Yield path, inputs and outputs of every layer that has a bias or, being linear, may have one.

    The head is left out.
    """
    head = model.get_output_embeddings()
    for path, layer in model.named_modules():
        if layer is head:
            continue
        bias = getattr(layer, "bias", None)
        if sizes := _sizes(layer):
            yield path, *sizes
        elif bias is not None and getattr(bias, "ndim", 0) == 1:
            yield path, len(bias), len(bias)


def _block(name: str) -> str:
    """Return which part of a layer a path within it leads to; T5 numbers a layer's parts."""
    parts = (part for part in name.split(".") if part != "layer" and not part.isdigit())
    return next(parts)


def _layers(model: Any) -> list[tuple[str, Any]]:
    """Return the layers of a model, of an encoder-decoder model those of both stacks."""
    config = model.config.get_text_config()
    if not model.config.is_encoder_decoder:
        return _stack(model, model, config.num_hidden_layers)
    decoding = getattr(config, "num_decoder_layers", None) or config.num_hidden_layers
    return [
        *_stack(model, model.get_encoder(), config.num_hidden_layers),
        *_stack(model, model.get_decoder(), decoding),
    ]


def _stack(model: Any, part: Any, wanted: int) -> list[tuple[str, Any]]:
    """Return the first list of so many layers in a part of a model, with their paths."""
    from torch.nn import ModuleList

    inside = set(part.modules())
    for path, module in model.named_modules():
        if module in inside and isinstance(module, ModuleList) and len(module) == wanted:
            return [(f"{path}.{number}", layer) for number, layer in enumerate(module)]
    raise ValueError(f"{type(model).__name__} has no list of {wanted} layers")


def _sizes(layer: Any) -> tuple[int, int] | None:
    """Return inputs and outputs of a linear layer; None for any other."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    if isinstance(layer, Linear):
        return layer.in_features, layer.out_features
    if isinstance(layer, Conv1D):  # GPT-2 keeps its weights the other way round
        return layer.weight.shape[0], layer.weight.shape[1]
    return None

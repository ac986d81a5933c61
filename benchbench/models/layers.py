"""The layers of a model that methods mean."""

from collections.abc import Iterator
from typing import Any


def linear_layers(model: Any, targets: str = "all-linear") -> dict[str, Any]:
    """Return the linear layers that ``targets`` means, by path; the head is never one of them.

    Raises ValueError where there is none.
    """
    found, names = linear_sizes(model), targets.split("+")
    meant = {
        path: model.get_submodule(path)
        for path in found
        if targets == "all-linear" or path.rpartition(".")[2] in names or path in names
    }
    if not meant:
        known = sorted({path.rpartition(".")[2] for path in found})
        raise ValueError(
            f"targets is {targets!r}; it is all-linear, or some of {', '.join(known)} joined by +"
        )
    return meant


def linear_sizes(model: Any) -> dict[str, tuple[int, int]]:
    """Return inputs and outputs of a model's linear layers by path, its head left out."""
    head = model.get_output_embeddings()
    return {
        path: sizes
        for path, layer in model.named_modules()
        if layer is not head and (sizes := _sizes(layer))
    }


def projected_groups(model: Any, projection: dict[str, Any]) -> list[dict[str, Any]]:
    """Return parameter groups for an optimizer that projects the gradients of linear layers.

    Those are in one group, with the options of the projection; norms and biases have no weight
    decay, as in full finetuning.
    """
    linear = [layer.weight for layer in linear_layers(model).values()]
    projected = {id(weight) for weight in linear}
    others = [p for p in model.parameters() if id(p) not in projected]
    return [
        {"params": [p for p in others if p.ndim > 1]},
        {"params": [p for p in others if p.ndim == 1], "weight_decay": 0.0},
        {"params": linear, **projection},
    ]


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

    if isinstance(layer, Linear):
        return layer.in_features, layer.out_features
    return tuple(layer.weight.shape) if is_transposed(layer) else None


def is_transposed(layer: Any) -> bool:
    """Tell whether a linear layer keeps its weights as [inputs, outputs], as GPT-2's do."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(layer, Conv1D)

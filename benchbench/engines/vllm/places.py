"""Places in a live vLLM model where a checkpoint puts modules or a prefix.

They are made once, after LoRA has wrapped the model's layers and before the model is compiled or
captured in graphs. Afterwards only the contents of their tensors change, so that a compiled model
sees each checkpoint too. An empty place computes zero, which leaves the base model as it is.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from benchbench.checkpoints.learned import Prefix
from benchbench.checkpoints.modules import Added, AddedModule, addition

ADDITIONAL = "benchbench"
"""Key of what places are made for, in vLLM's ``additional_config``: it counts in the key under
which vLLM keeps compiled models."""


class Places:
    """All places of a model, empty at first."""

    def __init__(
        self,
        model: Any,
        added: Sequence[AddedModule],
        prefix_tokens: int,
        *,
        rows: int,
        compiled: bool,
    ) -> None:
        """Make places for modules like ``added`` and for a prefix of up to ``prefix_tokens``.

        ``rows`` is the number of tokens in one step at most. Where a model is ``compiled``, what
        is empty is computed all the same.
        """
        self._compiled = compiled
        self._added = [place for module in added if (place := _make(model, module))]
        self._prefix = _PrefixPlace(model, prefix_tokens, rows) if prefix_tokens else None
        self.empty()

    def fill(self, content: Added | Prefix) -> None:
        """Put modules or a prefix into their places."""
        self.empty()
        if isinstance(content, Prefix):
            assert self._prefix is not None
            self._prefix.fill(content)
            return
        for module in content.modules:
            place = next(place for place in self._added if fits(module, place.module))
            place.fill(module, content.weights)

    def empty(self) -> None:
        """Make all places compute zero, or nothing where that can be left out."""
        places: list[_AddedPlace | _PrefixPlace] = [*self._added]
        if self._prefix:
            places.append(self._prefix)
        for place in places:
            place.empty()
            place.idle = not self._compiled


def fits(module: AddedModule, place: AddedModule) -> bool:
    """Whether a place was made for modules like this one, as wide as it or wider."""
    return (
        (module.layer, module.parallel) == (place.layer, place.parallel)
        and (module.inputs, module.outputs) == (place.inputs, place.outputs)
        and (module.activation == place.activation or not module.width)
        and module.width <= place.width
    )


class _AddedPlace:
    """Where one module is added to some columns of what a layer of vLLM puts out."""

    def __init__(self, module: AddedModule, columns: slice, like: Any) -> None:
        self.module = module
        self.columns = columns
        self.weights = {name: like.new_zeros(shape) for name, shape in module.shapes.items()}
        self.idle = True

    def fill(self, module: AddedModule, weights: Any) -> None:
        """Take over a module's weights; rows and columns beyond its width stay zero."""
        for name, shape in module.shapes.items():
            tensor = weights[f"{module.layer}.{name}"]
            if name in ("up", "bias"):
                tensor = tensor * module.scale
            self.weights[name][tuple(slice(size) for size in shape)] = tensor.to(self.weights[name])
        self.idle = False

    def empty(self) -> None:
        for tensor in self.weights.values():
            tensor.zero_()


def _make(model: Any, module: AddedModule) -> _AddedPlace | None:
    """Make a place; None where the model has no such layer, which is said when it is filled."""
    where = locate(model, module.layer)
    if where is None:
        return None
    layer, columns = where
    place = _AddedPlace(replace(module, scale=1.0), columns, next(model.parameters()))
    if not hasattr(layer, "benchbench_added"):
        layer.benchbench_added = []
        layer.register_forward_hook(_add, with_kwargs=True)
    layer.benchbench_added.append(place)
    return place


def _add(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    """Be the forward hook of a layer with places.

    It finds them, and their tensors, from the layer: a compiled model that is read from a cache
    reaches them by that path.
    """
    whole = output[0] if isinstance(output, tuple) else output
    for place in layer.benchbench_added:
        if place.idle:
            continue
        part = whole[..., place.columns]
        x = part
        if place.module.parallel:
            x = args[0] if args else next(iter(kwargs.values()))
        changed = whole.clone()
        more = addition(place.module, place.weights, x)
        changed[..., place.columns] = part + more.to(part.dtype)
        whole = changed
    return (whole, *output[1:]) if isinstance(output, tuple) else whole


def locate(model: Any, layer: str) -> tuple[Any, slice] | None:
    """Return the module of vLLM that computes a layer, and which columns of its output it is.

    vLLM computes some layers together, such as the queries, keys and values.
    """
    known: dict[str, Any] = dict(model.named_modules())
    if layer in known:
        return known[layer], slice(None)
    parent, _, name = layer.rpartition(".")
    for fused, names in getattr(model, "packed_modules_mapping", {}).items():
        path = f"{parent}.{fused}"
        if name in names and path in known:
            found = known[path]
            sizes = getattr(found, "base_layer", found).output_sizes
            start = sum(sizes[: names.index(name)])
            return found, slice(start, start + sizes[names.index(name)])
    return None


class _PrefixPlace:
    """Where a prefix replaces the keys and values at the first positions of every row.

    The prompts sent begin with as many placeholder tokens, whose own keys and values never count.
    """

    def __init__(self, model: Any, tokens: int, rows: int) -> None:
        import torch

        like = next(model.parameters())
        self.length = torch.zeros((), dtype=torch.long, device=like.device)
        # Of each row of a step: whether it is of the prefix, and which of its tokens.
        self.given = torch.zeros(rows, dtype=torch.bool, device=like.device)
        self.index = torch.zeros(rows, dtype=torch.long, device=like.device)
        self.tokens = tokens
        self.idle = True
        self._attentions = attentions(model)
        for attention in self._attentions:
            width = attention.num_kv_heads * attention.head_size
            attention.benchbench_prefix = self
            attention.benchbench_keys = like.new_zeros(tokens, width)
            attention.benchbench_values = like.new_zeros(tokens, width)
            attention.register_forward_pre_hook(_give)
        # The model around the compiled one: this runs as it is, or is captured in its graph.
        model.register_forward_pre_hook(partial(_begin, self), with_kwargs=True)

    def fill(self, prefix: Prefix) -> None:
        # [layers, heads, tokens, size] -> [layers, tokens, heads * size], as vLLM has them
        keys, values = (side.transpose(1, 2).flatten(2) for side in (prefix.keys, prefix.values))
        for attention, *own in zip(self._attentions, keys, values, strict=True):
            attention.benchbench_keys[: prefix.tokens] = own[0]
            attention.benchbench_values[: prefix.tokens] = own[1]
        self.length.fill_(prefix.tokens)
        self.idle = False

    def empty(self) -> None:
        self.length.zero_()
        self.given.zero_()


def _begin(place: _PrefixPlace, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Be the hook before a model, which is given the positions of a step's rows."""
    if place.idle:
        return
    positions = kwargs["positions"] if "positions" in kwargs else args[1]
    place.given[: len(positions)] = positions < place.length
    place.index[: len(positions)] = positions.clamp(max=place.tokens - 1)


def _give(layer: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Be the hook before an attention, which is given queries, keys and values."""
    import torch

    place = layer.benchbench_prefix
    if place.idle:
        return None
    query, key, value, *others = args
    given = place.given[: len(key)].view(-1, *[1] * (key.dim() - 1))
    index = place.index[: len(key)]
    key = torch.where(given, layer.benchbench_keys[index].view(key.shape), key)
    value = torch.where(given, layer.benchbench_values[index].view(value.shape), value)
    return (query, key, value, *others)


def attentions(model: Any) -> list[Any]:
    """Return the attentions of a model of vLLM, in order of their layers."""
    from vllm.model_executor.layers.attention import Attention

    return [layer for layer in model.modules() if isinstance(layer, Attention)]

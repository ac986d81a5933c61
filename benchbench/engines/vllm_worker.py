"""What runs inside vLLM's worker, where the live model is. vLLM mixes this class into its own."""

from functools import partial
from pathlib import Path
from typing import Any

from benchbench import modules
from benchbench.engines.soft import PREFIX
from benchbench.modules import AddedModule


class WorkerExtension:
    """Methods of ours beside those of vLLM's worker; their names must not clash with its own."""

    def benchbench_swap(self: Any, folder: str) -> None:
        """Replace the live model's weights by those of a folder of the same architecture."""
        self.reload_weights(weights_path=folder)
        self.benchbench_repack_heads()

    def benchbench_repack_heads(self: Any) -> None:
        """Pack the weights of the head again.

        On processors a head keeps a packed copy of its weights (oneDNN). A tied head is not among
        the reloaded weights, so that its copy would stay the old model's (vLLM 0.32).
        """
        from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
        from vllm.platforms import current_platform

        if not current_platform.is_cpu():
            return
        for layer in self.model_runner.get_model().modules():
            if isinstance(layer, ParallelLMHead):
                layer.quant_method.process_weights_after_loading(layer)

    def benchbench_clear_cache(self: Any) -> None:
        """Overwrite the key-value cache: a NaN left in a freed block spoils who gets it next."""
        for layer in self.model_runner.kv_caches:
            for tensor in layer if isinstance(layer, list | tuple) else [layer]:
                tensor.zero_()

    def benchbench_unplaced(self: Any, layers: list[str]) -> list[str]:
        """Return those layers of the base model that the live model has no place for."""
        model = self.model_runner.get_model()
        return [layer for layer in layers if _place(model, layer) is None]

    def benchbench_attentions(self: Any) -> int:
        """Return in how many layers keys and values can be given."""
        return len(_attentions(self.model_runner.get_model()))

    def benchbench_put_on(self: Any, route: str, folder: str) -> None:
        """Hang added modules or a prefix on the live model."""
        model = self.model_runner.get_model()
        hang = hang_modules if route == "modules" else hang_prefix
        self.benchbench_hooks = hang(model, Path(folder))

    def benchbench_take_off(self: Any) -> None:
        """Take off whatever hangs on the live model."""
        for hook in self.benchbench_hooks:
            hook.remove()
        self.benchbench_hooks = []


def hang_modules(model: Any, folder: Path) -> list[Any]:
    """Add the modules of a folder to the layers of a model of vLLM; returns the hooks."""
    added, weights = modules.read(folder)
    first = next(model.parameters())
    hooks = []
    for module in added:
        place = _place(model, module.layer)
        assert place is not None, module.layer
        own = {
            name: weights[f"{module.layer}.{name}"].to(first.device, first.dtype)
            for name in module.shapes
        }
        hook = partial(_add, module, own, place[1])
        hooks.append(place[0].register_forward_hook(hook, with_kwargs=True))
    return hooks


def _add(
    module: AddedModule,
    weights: dict[str, Any],
    columns: slice,
    layer: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    output: Any,
) -> Any:
    """Be the forward hook of a layer, of whose output the base model's layer is some columns."""
    whole = output[0] if isinstance(output, tuple) else output
    part = whole[..., columns]
    x = part
    if module.parallel:
        x = args[0] if args else next(iter(kwargs.values()))
    changed = whole.clone()
    changed[..., columns] = part + modules.addition(module, weights, x).to(part.dtype)
    return (changed, *output[1:]) if isinstance(output, tuple) else changed


def _place(model: Any, layer: str) -> tuple[Any, slice] | None:
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


def hang_prefix(model: Any, folder: Path) -> list[Any]:
    """Replace the keys and values at the first positions of every row by those of a folder.

    The prompts sent begin with as many placeholder tokens, whose own keys and values never count.
    """
    from safetensors.torch import load_file

    first = next(model.parameters())
    tensors = load_file(folder / PREFIX)
    # [layers, heads, tokens, size] -> [layers, tokens, heads * size], as vLLM lays them out
    keys, values = (
        tensors[side].transpose(1, 2).flatten(2).to(first.device, first.dtype)
        for side in ("keys", "values")
    )
    step: dict[str, Any] = {}

    def begin(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        positions = kwargs["positions"] if "positions" in kwargs else args[1]
        step["rows"] = (positions < keys.shape[1]).nonzero().flatten()
        step["positions"] = positions[step["rows"]]

    def give(layer: int, _: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not len(step["rows"]):
            return None
        query, key, value, *others = args
        key, value = key.clone(), value.clone()
        key.view(len(key), -1)[step["rows"]] = keys[layer, step["positions"]]
        value.view(len(value), -1)[step["rows"]] = values[layer, step["positions"]]
        return (query, key, value, *others)

    hooks = [model.register_forward_pre_hook(begin, with_kwargs=True)]
    for number, attention in enumerate(_attentions(model)):
        hooks.append(attention.register_forward_pre_hook(partial(give, number)))
    return hooks


def _attentions(model: Any) -> list[Any]:
    from vllm.model_executor.layers.attention import Attention

    return [layer for layer in model.modules() if isinstance(layer, Attention)]

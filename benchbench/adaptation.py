"""What most methods have in common: a model wrapped by PEFT, and the layers that are meant."""

from typing import Any


def peft_model(model: Any, kind: str, *, targets: str | None = "all-linear", **options: Any) -> Any:
    """Freeze a transformers model and add to it what a configuration of PEFT describes.

    ``kind`` is the configuration's class, e.g. ``LoraConfig``, and ``options`` are its fields.
    ``targets`` is ``all-linear`` (every linear layer but the head), names of layers joined by
    ``+``, or None where the kind has none or PEFT's own choice for the model is wanted. Raises
    ValueError or TypeError as PEFT does.
    """
    import peft

    if targets is not None:
        linear_layers(model, targets)  # its error says which layers there are
        options["target_modules"] = targets if targets == "all-linear" else targets.split("+")
    task = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    return peft.get_peft_model(model, getattr(peft, kind)(task_type=task, **options))


def linear_layers(model: Any, targets: str = "all-linear") -> dict[str, Any]:
    """Return the linear layers that ``targets`` means, by path; the head is never one of them.

    Raises ValueError where there is none.
    """
    from torch.nn import Linear

    head, names = model.get_output_embeddings(), targets.split("+")
    found = {
        path: layer
        for path, layer in model.named_modules()
        if isinstance(layer, Linear) and layer is not head
    }
    meant = {
        path: layer
        for path, layer in found.items()
        if targets == "all-linear" or path.rpartition(".")[2] in names or path in names
    }
    if not meant:
        known = sorted({path.rpartition(".")[2] for path in found})
        raise ValueError(
            f"targets is {targets!r}; it is all-linear, or some of {', '.join(known)} joined by +"
        )
    return meant


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

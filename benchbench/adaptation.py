"""What most methods have in common: a model wrapped by PEFT, and the layers that are meant."""

from typing import Any


def peft_model(model: Any, kind: str, *, targets: str | None = "all-linear", **options: Any) -> Any:
    """Freeze a transformers model and add to it what a configuration of PEFT describes.

    ``kind`` is the configuration's class, e.g. ``LoraConfig``, and ``options`` are its fields.
    ``targets`` is ``all-linear`` (every linear layer but the head), names of layers joined by
    ``+``, or None where the kind has none or PEFT's own choice for the model is wanted. Raises
    ValueError or TypeError as PEFT does.

    What a kind learns before prompts is, in an encoder-decoder model, before what the encoder
    reads; keys and values are before the decoder's own, and nowhere else (PEFT 0.21).
    """
    import peft

    if targets is not None:
        linear_layers(model, targets)  # its error says which layers there are
        options["target_modules"] = targets if targets == "all-linear" else targets.split("+")
    task = "CAUSAL_LM"
    if model.config.is_encoder_decoder:
        task, options = "SEQ_2_SEQ_LM", _sizes(model.config, kind) | options
    return peft.get_peft_model(model, getattr(peft, kind)(task_type=task, **options))


def _sizes(config: Any, kind: str) -> dict[str, Any]:
    """Return what PEFT takes otherwise of an encoder-decoder model than the model has it."""
    if kind in ("PromptTuningConfig", "PromptEncoderConfig"):
        return {"num_transformer_submodules": 1}  # or it would train as much again, unused
    if kind != "PrefixTuningConfig":
        return {}
    text = config.get_text_config()
    heads = text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    return {"num_attention_heads": heads, "token_dim": heads * size}


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

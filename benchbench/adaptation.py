"""Models wrapped by PEFT: the one line that most methods have in common."""

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
        options["target_modules"] = targets if targets == "all-linear" else targets.split("+")
    return peft.get_peft_model(model, getattr(peft, kind)(task_type="CAUSAL_LM", **options))

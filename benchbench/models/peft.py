"""What PEFT does: a model wrapped by it, and methods that only fill in its configuration."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from benchbench.contract.method import Method, Training
from benchbench.models.layers import is_transposed, linear_layers


@dataclass(frozen=True, kw_only=True)
class PeftMethod(Method):
    """A method that fills in a configuration of PEFT: most are their fields alone.

    A field ``targets`` says which layers it is on, as ``peft_model`` reads it; without one, or
    where it is empty, PEFT chooses.
    """

    config: ClassVar[str]
    """The configuration's class in PEFT, e.g. ``LoraConfig``."""
    options: ClassVar[Mapping[str, str]] = {}
    """Option of the configuration -> field whose value it gets."""
    fixed: ClassVar[Mapping[str, Any]] = {}
    """Option -> the value it always has."""
    seed_option: ClassVar[str] = ""
    """Option that gets a number drawn anew for each seed."""
    choices: ClassVar[Mapping[str, Mapping[Any, Any]]] = {}
    """Field -> its allowed values, each with what PEFT calls it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not hasattr(self, "config"):
            raise TypeError(
                f"{type(self).__name__} does not say its config; write the name of PEFT's class "
                'in it, as config = "LoraConfig"'
            )
        self.need_fields("options", self.options.values())
        self.need_fields("choices", self.choices)
        for name, values in self.choices.items():
            if (value := getattr(self, name)) not in values:
                *others, last = map(str, values)
                raise ValueError(f"{name} is {value!r}; it must be {', '.join(others)} or {last}")

    def peft_options(self, model: Any, training: Training) -> dict[str, Any]:
        """Return the configuration's options; extend it for what is made of more than a field."""
        found = dict(self.fixed)
        for option, name in self.options.items():
            value = getattr(self, name)
            found[option] = self.choices[name][value] if name in self.choices else value
        if self.seed_option:
            import torch

            found[self.seed_option] = int(torch.randint(2**31, ()))
        return found

    def adapt(self, model: Any, training: Training) -> Any:
        targets = getattr(self, "targets", None) or None
        return peft_model(model, self.config, targets=targets, **self.peft_options(model, training))


def peft_model(model: Any, kind: str, *, targets: str | None = "all-linear", **options: Any) -> Any:
    """Freeze a transformers model and add to it what a configuration of PEFT describes.

    ``kind`` is the configuration's class, e.g. ``LoraConfig``, and ``options`` are its fields.
    ``targets`` is ``all-linear`` (every linear layer but the head), names of layers joined by
    ``+``, or None where the kind has none or PEFT's own choice for the model is wanted. Raises
    ValueError for a kind or an option that the installed PEFT does not have, and ValueError or
    TypeError as PEFT does.

    What a kind learns before prompts is, in an encoder-decoder model, before what the encoder
    reads; keys and values are before the decoder's own, and nowhere else (PEFT 0.21).
    """
    import peft

    config = _configuration(kind, options)
    if targets is not None:
        layers = linear_layers(model, targets)  # its error says which layers there are
        options["target_modules"] = targets if targets == "all-linear" else targets.split("+")
        if hasattr(config, "fan_in_fan_out") and all(map(is_transposed, layers.values())):
            options.setdefault("fan_in_fan_out", True)  # PEFT mends it otherwise, with a warning
    task = "CAUSAL_LM"
    if model.config.is_encoder_decoder:
        task, options = "SEQ_2_SEQ_LM", _options_of_prompts(model.config, kind) | options
    return peft.get_peft_model(model, config(task_type=task, **options))


def _configuration(kind: str, options: Iterable[str]) -> Any:
    """Return a class of PEFT's that has the options; ValueError names the nearest that exist."""
    import peft

    owner = f"PEFT {peft.__version__}"
    kinds = {config.__name__: config for config in peft.PEFT_TYPE_TO_CONFIG_MAPPING.values()}
    _need(owner, "configuration", kind, kinds)
    known = [field.name for field in fields(kinds[kind])]
    for option in options:
        _need(f"{kind} of {owner}", "option", option, known)
    return kinds[kind]


def _need(owner: str, what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0))
        raise ValueError(f"{owner} has no {what} {name!r}; the nearest are {near}")


def _options_of_prompts(config: Any, kind: str) -> dict[str, Any]:
    """Return what PEFT takes otherwise of an encoder-decoder model than the model has it."""
    if kind in ("PromptTuningConfig", "PromptEncoderConfig"):
        return {"num_transformer_submodules": 1}  # or it would train as much again, unused
    if kind != "PrefixTuningConfig":
        return {}
    text = config.get_text_config()
    heads = text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    return {"num_attention_heads": heads, "token_dim": heads * size}

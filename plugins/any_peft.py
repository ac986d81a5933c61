"""Any type of adapter that the installed PEFT knows, with its options as PEFT names them."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from benchbench import Method, Training, hookimpl, peft_model

UNFIT = {
    "ADALORA": "its ranks are moved in every step, which the method 'adalora' does",
    "CPT": "it needs the tokens of an example and the type of each, and gives NaN without",
    "MULTITASK_PROMPT_TUNING": "it needs the number of a task with every sample",
    "POLY": "it needs the number of a task with every sample",
    "XLORA": "it mixes adapters that were trained before, and PEFT saves nothing of it",
}
"""Types that need more than their options, and what."""


@dataclass(frozen=True, kw_only=True)
class AnyPeft(Method):
    """Train an adapter of PEFT's, as it comes: for what has no method of its own here.

    Options that are not given have PEFT's defaults, those of the layers included; the learning
    rate is that of PEFT's method comparison. What PEFT cannot save or merge is not served.
    """

    name = "peft"
    family = "any"
    source = "https://huggingface.co/docs/peft"
    identity = False  # of some types

    type: str = "lora"
    """A PeftType of the installed PEFT, e.g. gralora."""
    options: str = ""
    """Fields of the type's configuration: ``r=8;target_modules=q_proj+v_proj``, dicts as JSON."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            import peft
        except ImportError:
            return  # training will say so
        known = {kind.name: kind for kind in peft.PEFT_TYPE_TO_CONFIG_MAPPING}
        kind = self.type.upper().replace("-", "_")
        if kind not in known:
            names = ", ".join(sorted(name.lower() for name in known))
            raise ValueError(f"type is {self.type!r}; PEFT {peft.__version__} has: {names}")
        if kind in UNFIT:
            raise ValueError(f"type {self.type!r} cannot be trained by this method: {UNFIT[kind]}")
        self._parsed()

    def adapt(self, model: Any, training: Training) -> Any:
        return peft_model(model, self._config().__name__, targets=None, **self._parsed())

    def _config(self) -> Any:
        from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PeftType

        return PEFT_TYPE_TO_CONFIG_MAPPING[PeftType[self.type.upper().replace("-", "_")]]

    def _parsed(self) -> dict[str, Any]:
        """Read the options as the types that the configuration declares."""
        from peft import PeftConfig

        config = self._config()
        # PEFT's own book-keeping, which get_peft_model fills in
        known = {f.name for f in fields(config)} - {f.name for f in fields(PeftConfig)}
        hints = get_type_hints(config)
        found: dict[str, Any] = {}
        for part in filter(None, (p.strip() for p in self.options.split(";"))):
            key, equals, text = (piece.strip() for piece in part.partition("="))
            if not equals:
                raise ValueError(f"options holds {part!r}; write 'key=value;key=value'")
            if key not in known:
                raise ValueError(
                    f"options names {key!r}; {self.type} has: {', '.join(sorted(known))}"
                )
            found[key] = _typed(key, text, hints[key])
        if "num_virtual_tokens" in known and not found.get("num_virtual_tokens"):
            raise ValueError(
                f"options is {self.options!r}; {self.type} needs num_virtual_tokens, 1 or more"
            )
        return found


def _typed(key: str, text: str, hint: Any) -> Any:
    """Read a value as what a field declares; lists are joined by ``+``, dicts are JSON."""
    from pydantic import TypeAdapter, ValidationError

    adapter: Any = TypeAdapter(hint)
    for value in _readings(text):
        try:
            return adapter.validate_python(value)
        except ValidationError:
            continue
    wanted = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
    raise ValueError(f"option {key} is {text!r}; it must be {wanted}, and ; ends an option")


def _readings(text: str) -> Iterator[Any]:
    """Yield what a text may stand for, the likeliest first."""
    if text.lower() in ("true", "false"):
        yield text.lower() == "true"
    if text.startswith(("{", "[")):
        with suppress(ValueError):
            yield json.loads(text)
    # A list before a text: to PEFT, layers in one text are a regular expression.
    if text != "all-linear" and re.fullmatch(r"[\w.]+(\+[\w.]+)*", text):
        yield text.split("+")
    yield text
    if text.lower() == "none":
        yield None


@hookimpl
def register_methods() -> list[type[Method]]:
    return [AnyPeft]

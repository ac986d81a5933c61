"""Plain data that says what to run. Nothing here runs anything.

A spec is resolved before it is hashed: every default is filled in, so that a changed default is a
different run and never a silently different result under an old id.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from benchbench.errors import BadParameter, BenchbenchError

File = TypeVar("File")

Precision = Literal["float32", "bfloat16"]
DataSource = Literal["sample", "folder"]
Split = Literal["train", "validation", "test", "in-task", "trained"]
"""Parts of a task's samples: to train on; to choose a checkpoint by; unseen; and of what was
trained on, other instances of the same tasks (arXiv 2411.16775's traditional test), and the very
same instances."""
Profile = Literal["standard", "author-compat"]
"""Named ways to train; ``benchbench.train.schedule`` says what they do."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """The identity of a base model; where its files lie is not part of it."""

    name: str
    revision: str
    """Commit of the hub (40 hex digits), or sha256:… over the files of a local folder."""
    tokenizer: str
    """SHA-256 of the tokenizer's files."""
    chat_template: str | None = None
    """SHA-256 of the chat template; None where the model has none."""


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """A method's name and its hyperparameters."""

    name: str
    version: int = 0
    """The method's; 0 until resolved."""
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "MethodSpec":
        """Read ``lora:rank=64,alpha=64``; values stay text until the registry types them."""
        name, _, params = text.partition(":")
        return cls(name=name.strip(), params=parse_pairs(params, text))


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A task's name, the protocol it is run under, and its parameters."""

    name: str
    protocol: str = ""
    """Empty until resolved: then the task's first protocol."""
    split: Split = "test"
    version: int = 0
    """The task's; 0 until resolved."""
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "TaskSpec":
        """Read ``super-ni@def-pos2:instances=20`` or ``super-ni:in-task,instances=20``."""
        head, _, rest = text.partition(":")
        name, _, protocol = head.partition("@")
        split, comma, params = rest.partition(",")
        if split.strip() not in get_args(Split):
            split, params = "test", f"{split}{comma}{params}"
        return cls(
            name=name.strip(),
            protocol=protocol.strip(),
            split=split.strip(),  # type: ignore[arg-type]
            params=parse_pairs(params, text),
        )

    @property
    def label(self) -> str:
        """Return what it is called, as ``parse`` reads it; parameters are left out."""
        split = "" if self.split in ("train", "test") else f":{self.split}"
        return f"{self.name}@{self.protocol}{split}"


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Which data a run or a result saw."""

    source: DataSource
    digest: str
    """SHA-256 over the samples themselves: ids, inputs and references, in order."""


@dataclass(frozen=True, kw_only=True)
class ValidationSpec:
    """What the checkpoint to keep is chosen by: samples held out from training."""

    data: DataSpec
    groups: tuple[str, ...]
    """Names of the tasks that are held out, sorted; empty where samples have no such groups."""
    metric: str
    """The primary one of the task's."""


RANGES: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "epochs": ("above 0", lambda value: value > 0),
    **dict.fromkeys(("evaluations", "batch_size"), ("1 or more", lambda value: value >= 1)),
    **dict.fromkeys(
        ("steps", "weight_decay", "max_grad_norm"), ("0 or more", lambda value: value >= 0)
    ),
    "warmup_ratio": ("in [0, 1)", lambda value: 0 <= value < 1),
}
"""What training settings may be, in words and as a test."""


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """How to train; equal for all methods that are compared.

    Defaults are the study's (arXiv 2411.16775, its public code): 4 epochs, batches of 16, AdamW,
    linear schedule to zero after a warm-up of 3 % of the steps, weight decay 0.01.
    """

    task: TaskSpec
    data: DataSpec
    validation: ValidationSpec | None = None
    """None: the weights after the last step are kept."""
    profile: Profile = "standard"
    """``standard``, or ``author-compat`` for what the study's code does otherwise."""
    epochs: float = 4.0
    steps: int = 0
    """Steps of the optimizer, whatever the number of samples; 0: as many as the epochs take."""
    evaluations: int = 8
    """Times that a run is scored on validation samples, evenly spread, the last at its end."""
    packing: bool = True
    """Whether samples share rows, where the method allows it and the model computes the same."""
    batch_size: int = 16
    """Samples a step of the optimizer sees."""
    gradient_accumulation: int = 1
    """Parts a batch is computed in; must divide batch_size."""
    warmup_ratio: float = 0.03
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm; 0 clips nothing."""
    gradient_checkpointing: bool = False
    """Whether activations are computed twice instead of kept: less memory, a third slower."""

    def __post_init__(self) -> None:
        for name, (allowed, good) in RANGES.items():
            if not good(value := getattr(self, name)):
                raise BadParameter(f"training: {name} is {value}; it must be {allowed}.")
        parts = self.gradient_accumulation
        if parts < 1 or self.batch_size % parts:
            raise BadParameter(
                f"training: gradient_accumulation is {parts}; it must be 1 or more, and divide "
                "batch_size."
            )


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One training run. Tasks are not part of it: a new task re-uses every checkpoint."""

    model: ModelSpec
    method: MethodSpec
    train: TrainSpec | None
    """None for the untuned base model."""
    precision: Precision
    """What training, or the untuned model, computes in."""
    seed: int

    @property
    def id(self) -> str:
        return digest(self)


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN."""
    plain = asdict(value) if hasattr(value, "__dataclass_fields__") else value
    return json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any, length: int = 12) -> str:
    """Return the first hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def parse_pairs(text: str, whole: str) -> dict[str, str]:
    """Read ``key=value,key=value``; ``whole`` is what the user typed, for the error."""
    pairs: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise BadParameter(
                f"cannot read {part!r} in {whole!r}; write name:key=value,key=value."
            )
        if key.strip() in pairs:
            raise BadParameter(f"{key.strip()!r} is given twice in {whole!r}; give it once.")
        pairs[key.strip()] = value.strip()
    return pairs


def split_specs(text: str) -> list[str]:
    """Split ``a:x=1,y=2,b@c`` at the commas that separate specs, not parameters."""
    parts: list[str] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        if parts and "=" in part and ":" not in part:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


Role = Literal["base", "reference", "candidate"]

Route = Literal["base", "lora", "soft_prompt", "prefix", "modules", "weights", "transformers"]
"""How a checkpoint is served; ``base`` is the base model itself.

``lora``          an adapter; any number share a batch
``soft_prompt``   embeddings before the prompt's; they share batches with the base model's rows
``prefix``        keys and values before the prompt's, in every layer
``modules``       small networks beside layers (``benchbench.modules``)
``weights``       all weights, swapped into the live engine
``transformers``  PEFT's own format, which only the transformers engine serves
"""


def _differing(params: Mapping[str, Any], namesakes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for key, value in params.items():
        if len({str(other.get(key)) for other in namesakes}) > 1:
            yield f"{key}={value}"


def labels(methods: Sequence[MethodSpec]) -> list[str]:
    """Name entries as shortly as tells them apart."""
    namesakes = {
        m.name: [other.params for other in methods if other.name == m.name] for m in methods
    }
    return [
        " ".join([spec.name, *_differing(spec.params, namesakes[spec.name])]) for spec in methods
    ]


def _adapter(hint: Any) -> Any:
    """Return pydantic's adapter of a type."""
    from pydantic import TypeAdapter

    return TypeAdapter(hint)


adapter_of: Callable[[Any], Any] = cache(_adapter)
"""Pydantic's adapter of a type, kept: to make one takes a hundred times as long as to use it."""


def typed(owner: str, key: str, value: Any, hint: Any) -> Any:
    """Return a value, which may be the user's text, as the type a field declares."""
    from pydantic import ValidationError

    wrong = BadParameter(f"{owner}: {key} is {value!r}; it must be {_type_name(hint)}.")
    text_none = isinstance(value, str) and value.lower() == "none"
    try:
        found = adapter_of(hint).validate_python(None if text_none else value)
    except ValidationError as error:
        raise wrong from error
    if isinstance(found, float) and not math.isfinite(found):  # no JSON, so no record, holds it
        raise wrong
    return found


def _type_name(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def read_toml(path: Path, kind: type[File], wrong: type[BenchbenchError], what: str) -> File:
    """Read a TOML file into a frozen dataclass; raises ``wrong``, naming file and key.

    The fields of ``kind`` are the keys that the file may have, each ``Annotated`` with what it may
    be, in words. One without a default must be there, and not be empty. Lists become tuples;
    nothing else is converted. ``what`` is a sentence on what such a file is.
    """
    from pydantic import ValidationError

    try:
        text = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise wrong(f"cannot read {str(path)!r} ({error.strerror}); {what}") from error
    except ValueError as error:
        raise wrong(f"{str(path)!r} is not valid TOML: {error}.") from error
    hints = get_type_hints(kind, include_extras=True)
    try:
        # As JSON, in which a list may be a tuple although nothing else is taken for another type.
        plain = json.dumps(text, default=str)
        found: File = adapter_of(kind).validate_json(plain, strict=True, extra="forbid")
    except ValidationError as error:
        problems = [str(each["loc"][0]) for each in error.errors()]
    else:
        said = signature(kind).parameters.values()
        needed = [each.name for each in said if each.default is each.empty]
        problems = [key for key in needed if text[key] in ("", [], {})]
        if not problems:
            return found
    key = min(problems, key=text.__contains__)  # what is missing first
    if key not in text:
        raise wrong(f"{str(path)!r} lacks {key!r}: {hints[key].__metadata__[0]}.")
    if key not in hints:
        raise wrong(f"{str(path)!r} has an unknown key {key!r}; it may have: {', '.join(hints)}.")
    allowed = hints[key].__metadata__[0]
    raise wrong(f"{key!r} in {str(path)!r} is {text[key]!r}; it must be {allowed}.")

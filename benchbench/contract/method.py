"""What a finetuning method must say."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from benchbench.specs import Role, Route


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a method may know of the training it is used in."""

    steps: int
    """Optimizer steps."""
    parts: int
    """Batches whose gradients are added up in one step; a penalty that a model adds to its loss
    counts once for each."""
    weight_decay: float
    max_grad_norm: float
    batches: Callable[[], Iterator[dict[str, Any]]]
    """Yields, from the start at each call, the batches that will be trained on: tensors
    ``input_ids``, ``attention_mask`` and ``labels`` [rows, tokens] on the model's device."""


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A finetuning method: its fields are its hyperparameters, its methods the steps it varies.

    Only ``adapt`` must be written. Bounds of the fields are facts of the class; raise ValueError in
    ``__post_init__`` for any other value that is not allowed. The user sees the text as one
    sentence.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raise it whenever the same hyperparameters would train something else."""
    family: ClassVar[str] = "other"
    """Methods like it, for tables: ``LoRA``, ``prompt``, ``bottleneck`` …"""
    source: ClassVar[str] = ""
    """Address of the paper or code that defines the method."""
    role: ClassVar[Role] = "candidate"
    """``base`` is the untuned model, ``reference`` what every candidate is compared with."""
    packable: ClassVar[bool] = False
    """Whether several samples may share one row without changing the result; False claims
    nothing."""
    identity: ClassVar[bool] = True
    """Whether the adapted model computes, before any training, what the base model does, whatever
    its parameters; False claims nothing."""
    resumable: ClassVar[bool] = True
    """Whether all that training changes is in parameters and buffers and the optimizer. If not, a
    training that was killed begins again instead of going on as something else."""
    least: ClassVar[Mapping[str, float]] = {}
    """Field -> the smallest value that it may have."""
    above: ClassVar[Mapping[str, float]] = {}
    """Field -> what it must be above."""
    below: ClassVar[Mapping[str, float]] = {}
    """Field -> what it must be below."""
    even: ClassVar[Collection[str]] = ()
    """Fields that must be even."""

    learning_rate: float = 1e-4
    """Peak learning rate; without an explicit value it is scaled by the model's factor."""

    def __post_init__(self) -> None:
        for fact in ("least", "above", "below", "even"):
            self.need_fields(fact, getattr(self, fact))
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0")
        for field in fields(self):
            self._check_bounds(field.name)

    def at_least(self, least: float, *names: str) -> None:
        """Raise ValueError for a field that is smaller than it may be; for ``__post_init__``."""
        for name in names:
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")

    def need_fields(self, fact: str, names: Iterable[str]) -> None:
        """Raise TypeError where a fact of the class names what is no field."""
        known = [field.name for field in fields(self)]
        if unknown := sorted(set(names) - set(known)):
            raise TypeError(
                f"{fact} of {type(self).__name__} names {', '.join(unknown)}, which is no field; "
                f"the fields are {', '.join(known)}"
            )

    def _check_bounds(self, name: str) -> None:
        value, even = getattr(self, name), name in self.even
        least, above, below = (bound.get(name) for bound in (self.least, self.above, self.below))
        high_enough = (least is None or value >= least) and (above is None or value > above)
        if not high_enough or (below is not None and not value < below) or (even and value % 2):
            allowed = _described(least, above, below, even)
            raise ValueError(f"{name} is {value}; it must {allowed}")

    @abstractmethod
    def adapt(self, model: Any, training: Training) -> Any:
        """Turn the base model (a transformers model in float32) into the model to train.

        What has ``requires_grad`` is trained. Methods that start from data look at
        ``training.batches()`` here. Raise ``benchbench.Unsuited`` with the reason where the method
        cannot be used on this model: the run is then skipped, and has not failed. Where an
        optional package is missing, raise ImportError with the ``pip install …`` that brings it.
        """

    def optimizer(self, model: Any, training: Training) -> Any:
        """Return a torch optimizer over the adapted model, or None for the suite's AdamW.

        It may freeze parameters; what is trained is counted afterwards.
        """
        return None

    def after_step(self, model: Any, step: int) -> None:
        """Do something at optimizer step number ``step`` (from 1); default: nothing.

        The weights are updated already and the gradients still there.
        """

    def export(self, model: Any, folder: Path) -> Route | None:
        """Write what is served to ``folder``, as safetensors and JSON, and return its route.

        Default: None, which leaves both to the suite. It takes the fastest route that loses
        nothing: for a PEFT model whatever fits, for any other the whole weights.
        """
        return None


def _described(least: float | None, above: float | None, below: float | None, even: bool) -> str:
    if below is not None and least is not None:
        return f"lie in [{least}, {below})"
    if below is not None and above is not None:
        return f"lie between {above} and {below}"
    parts = (
        "even" if even else "",
        "" if least is None else f"{least} or more",
        "" if above is None else f"above {above}",
        "" if below is None else f"below {below}",
    )
    return f"be {' and '.join(filter(None, parts))}"

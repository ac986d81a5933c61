"""What a finetuning method must say."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

    Only ``adapt`` must be written. Raise ValueError in ``__post_init__`` for a value that is not
    allowed; the user sees the text as one sentence.
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

    learning_rate: float = 1e-4
    """Peak learning rate; without an explicit value it is scaled by the model's factor."""

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0")

    def at_least(self, least: float, *names: str) -> None:
        """Raise ValueError for a field that is smaller than it may be; for ``__post_init__``."""
        for name in names:
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")

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

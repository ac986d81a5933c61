"""What a finetuning method must say."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchbench.specs import ModelSpec

Role = Literal["base", "reference", "candidate"]
Route = Literal["base", "lora", "weights"]


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A finetuning method: its fields are its hyperparameters, its methods the steps it varies.

    Only ``adapt`` must be written. Raise ValueError in ``__post_init__`` for a value that is not
    allowed; the user sees the text as one sentence.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raise it whenever the same hyperparameters would train something else."""
    source: ClassVar[str] = ""
    """Address of the paper or code that defines the method."""
    role: ClassVar[Role] = "candidate"
    """``base`` is the untuned model, ``reference`` what every candidate is compared with."""
    route: ClassVar[Route]
    """How the checkpoint is served: ``lora`` (hot-swapped adapter), ``weights`` (swapped in)."""
    packable: ClassVar[bool] = False
    """Whether several samples may share one row without changing the result."""

    learning_rate: float = 1e-4
    """Peak learning rate; without an explicit value it is scaled by the model's factor."""

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0")

    def skip(self, model: ModelSpec) -> str | None:
        """Return the reason why this method cannot be used on this model, or None."""
        return None

    def prepare(self, model: Any, batches: Iterable[Any]) -> None:
        """Look at the base model and at training batches before ``adapt``; default: nothing."""

    @abstractmethod
    def adapt(self, model: Any) -> Any:
        """Turn the base model (a transformers model) into the model to train."""

    def optimizer(self, model: Any) -> Any:
        """Return a torch optimizer over the adapted model, or None for the suite's AdamW."""
        return None

    def after_step(self, model: Any, step: int) -> None:
        """Do something at optimizer step number ``step`` (from 1); default: nothing.

        The weights are updated already and the gradients still there.
        """

    def export(self, model: Any, folder: Path) -> None:
        """Write what is served to ``folder`` as safetensors; default: ``save_pretrained``."""
        model.save_pretrained(folder)

"""What the model in a live vLLM is now: whose weights it has, what hangs on it, which adapters."""

from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from benchbench.checkpoints.format import Format
from benchbench.checkpoints.learned import Prefix
from benchbench.checkpoints.modules import Added
from benchbench.checkpoints.weights import Weights
from benchbench.engines.vllm.calls import Vllm, adapter_of
from benchbench.records.record import Checkpoint

IN_THE_MODEL = (Weights, Added, Prefix)
"""What changes the live model itself, so that one checkpoint is served at a time."""


class Served(NamedTuple):
    """A checkpoint, and what was read of it."""

    checkpoint: Checkpoint
    content: Format


class Live:
    """The live model; it begins as the base model, without adapters."""

    def __init__(self, vllm: Vllm, model: Path) -> None:
        self.vllm = vllm
        self._model = model
        self._served: Served | None = None
        self.adapters: dict[str, Any] = {}
        """Run id -> its adapter for vLLM; all are there, whatever else the model is."""
        self._numbers = count(1)

    def is_of(self, run_id: str) -> bool:
        return self._served is not None and self._served.checkpoint.run_id == run_id

    def become(self, served: Served | None) -> None:
        """Make a checkpoint the live one; without one, or where it changes nothing, the base."""
        if served is not None and not isinstance(served.content, IN_THE_MODEL):
            served = None
        if self._served is served:
            return
        old, new = (each.content if each else None for each in (self._served, served))
        if isinstance(old, Added | Prefix):
            self.vllm.take_off()
        if isinstance(new, Weights) and served:
            self.vllm.swap(served.checkpoint.folder)
        elif isinstance(old, Weights):
            self.vllm.swap(self._model)
        if isinstance(new, Added | Prefix):
            self.vllm.put_on(new)
        self._served = served
        self.vllm.forget()  # cached prefixes are the old model's
        for adapter in self.adapters.values():
            if adapter.lora_int_id not in self.vllm.adapters():  # swapping weights drops them
                self.vllm.add_adapter(adapter)

    def add_adapter(self, checkpoint: Checkpoint) -> None:
        """Give vLLM an adapter under a number and a name that no other content ever had.

        Whatever vLLM raises comes through, and the run has no adapter then.
        """
        self.remove_adapter(checkpoint.run_id)
        number = next(self._numbers)
        name = f"{checkpoint.run_id}-{checkpoint.sha256}-{number}"
        adapter = adapter_of(name, number, checkpoint.folder)
        self.vllm.add_adapter(adapter)
        self.adapters[checkpoint.run_id] = adapter

    def remove_adapter(self, run_id: str) -> None:
        """Take a run's adapter away, if it has one."""
        if old := self.adapters.pop(run_id, None):
            self.vllm.remove_adapter(old)

"""What the model in a live vLLM is now: whose weights it has, what hangs on it, which adapters."""

from collections.abc import Mapping
from itertools import count
from pathlib import Path

from benchbench.engines.vllm.calls import Vllm
from benchbench.records.record import Checkpoint

LoadedAdapter = tuple[str, int, Path]
"""Name, number and folder."""

IN_THE_MODEL = ("weights", "modules", "prefix")
"""Routes that change the live model itself, so that one checkpoint is served at a time."""


class Live:
    """The live model; it begins as the base model, without adapters."""

    def __init__(self, vllm: Vllm, model: Path) -> None:
        self.vllm = vllm
        self._model = model
        self._checkpoint: Checkpoint | None = None
        self._adapters: dict[str, LoadedAdapter] = {}
        self._numbers = count(1)

    @property
    def adapters(self) -> Mapping[str, LoadedAdapter]:
        """Run id -> its adapter; all are there, whatever else the model is."""
        return self._adapters

    def is_of(self, run_id: str) -> bool:
        return self._checkpoint is not None and self._checkpoint.run_id == run_id

    def become(self, checkpoint: Checkpoint | None) -> None:
        """Make a checkpoint the live one; None is the base model."""
        if self._checkpoint is checkpoint:
            return
        old = self._checkpoint.route if self._checkpoint else "base"
        new = checkpoint.route if checkpoint else "base"
        if old in ("modules", "prefix"):
            self.vllm.take_off()
        if new == "weights" and checkpoint:
            self.vllm.swap(checkpoint.folder)
        elif old == "weights":
            self.vllm.swap(self._model)
        if new in ("modules", "prefix") and checkpoint:
            self.vllm.put_on(new, checkpoint.folder)
        self._checkpoint = checkpoint
        self.vllm.forget()  # cached prefixes are the old model's
        for adapter in self._adapters.values():
            if adapter[1] not in self.vllm.adapters():  # swapping weights drops them
                self.vllm.add_adapter(*adapter)

    def add_adapter(self, checkpoint: Checkpoint) -> None:
        """Give vLLM an adapter under a number and a name that no other content ever had.

        Whatever vLLM raises comes through, and the run has no adapter then.
        """
        self.remove_adapter(checkpoint.run_id)
        number = next(self._numbers)
        name = f"{checkpoint.run_id}-{checkpoint.sha256}-{number}"
        self.vllm.add_adapter(name, number, checkpoint.folder)
        self._adapters[checkpoint.run_id] = (name, number, checkpoint.folder)

    def remove_adapter(self, run_id: str) -> None:
        """Take a run's adapter away, if it has one."""
        if old := self._adapters.pop(run_id, None):
            self.vllm.remove_adapter(old[1])

"""The reference engine: transformers, one batch at a time; slow, and right for every model."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchbench import machine
from benchbench.checkpoints.format import Format, Untuned
from benchbench.checkpoints.routes import read_checkpoint
from benchbench.engines.choice import TRANSFORMERS
from benchbench.engines.engine import (
    Completion,
    EngineSettings,
    Request,
    check_requests,
    overflow,
)
from benchbench.engines.text import Decoder
from benchbench.engines.transformers import generation
from benchbench.errors import CheckpointError, CheckpointOverflow, EngineError, brief
from benchbench.models.logprobs import token_logprobs
from benchbench.records.record import Checkpoint, EngineSpec


class TransformersEngine:
    """Serves checkpoints one after the other from one model in memory."""

    def __init__(self, settings: EngineSettings, checkpoints: Sequence[Checkpoint]) -> None:
        import torch
        from transformers.utils import logging

        quiet: Any = logging
        quiet.disable_progress_bar()  # of loading weights; the command has bars of its own
        self.spec: EngineSpec = TRANSFORMERS.spec(settings.precision)
        self._settings = settings
        self._dtype = getattr(torch, settings.precision)
        self._served: dict[str, Format] = {}
        self._decoder = Decoder.of(settings.model)
        self._model = self._read_model()
        self._live: Format = Untuned()
        """What the model is now."""

    def load(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Check checkpoints; the model becomes each when its requests are served."""
        for checkpoint in checkpoints:
            # A refused checkpoint must not be answered by the one before it.
            old = self._served.pop(checkpoint.run_id, None)
            if old is self._live:
                self._return_to_base()
            self._served[checkpoint.run_id] = read_checkpoint(
                checkpoint, self._settings.model, self._settings.max_tokens
            )

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield completions batch by batch, requests of like length together."""
        check_requests(requests, self._served, self._settings)
        broken: set[str] = set()
        by_checkpoint: dict[str, list[Request]] = {}
        for request in requests:
            by_checkpoint.setdefault(request.checkpoint, []).append(request)
        for run_id, group in by_checkpoint.items():
            self._activate(run_id)
            try:
                yield from generation.generate(
                    self._model, group, self._decoder, self._settings.batch_size, self._live
                )
            except CheckpointOverflow:  # told when all others are served
                broken.add(run_id)
        if broken:
            raise overflow(min(broken))

    def logprobs(self, checkpoint: str, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        self._activate(checkpoint)
        return token_logprobs(self._model, prompts, self._live.inputs(self._model))

    def close(self) -> None:
        self._model = None
        if machine.device() == "cuda":
            import torch

            torch.cuda.empty_cache()

    def _activate(self, run_id: str) -> None:
        """Make the model that of a checkpoint."""
        if run_id not in self._served:
            raise EngineError(f"run {run_id} is not loaded; load its checkpoint first.")
        wanted = self._served[run_id]
        if self._live is wanted:
            return
        self._return_to_base()
        try:
            self._model = wanted.put_on(self._model)
        except Exception as error:
            if machine.is_out_of_memory(error):
                raise
            trouble = brief(error)
        else:
            self._live = wanted
            return
        # Half of it may be in the model. Out here, the error no longer keeps that alive.
        self._model = None
        self._model = self._read_model()
        raise CheckpointError(
            f"the checkpoint of run {run_id} cannot be served ({trouble}); delete that run's "
            "folder and run again."
        )

    def _return_to_base(self) -> None:
        base = self._live.take_off(self._model)
        self._model = self._read_model() if base is None else base
        self._live = Untuned()

    def _read_model(self) -> Any:
        return self._settings.model.load(self._dtype).to(machine.device()).eval()

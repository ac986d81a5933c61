"""The reference engine: transformers, one batch at a time; slow, and right for every model."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchbench import machine
from benchbench.checkpoints import modules
from benchbench.checkpoints.check import check_checkpoint
from benchbench.checkpoints.learned import Learned, check_length, read_learned
from benchbench.engines.engine import (
    Completion,
    EngineSettings,
    Request,
    check_requests,
    overflow,
)
from benchbench.engines.text import Decoder
from benchbench.engines.transformers import TRANSFORMERS, generation
from benchbench.errors import CheckpointError, CheckpointOverflow, EngineError, brief
from benchbench.models.files import weight_files
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
        self._base = settings.model.architecture
        self._dtype = getattr(torch, settings.precision)
        self._checkpoints: dict[str, Checkpoint] = {}
        self._decoder = Decoder.of(settings.model)
        self._model = self._read_model()
        self._learned: Learned | None = None
        """What stands before every prompt now."""
        self._live: Checkpoint | None = None
        """What the model is now; None is the base model."""

    def load(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Check checkpoints; each is read when its requests are served."""
        for checkpoint in checkpoints:
            if self._live is not None and self._live.run_id == checkpoint.run_id:
                self._return_to_base()  # its files may be others now
            # A refused checkpoint must not be answered by the one before it.
            self._checkpoints.pop(checkpoint.run_id, None)
            check_checkpoint(checkpoint, self._settings.model)
            if checkpoint.route in ("soft_prompt", "prefix"):
                learned = read_learned(checkpoint.folder, self._base)
                check_length(checkpoint, learned, self._settings.max_tokens, self._base)
            self._checkpoints[checkpoint.run_id] = checkpoint

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield completions batch by batch, requests of like length together."""
        check_requests(requests, self._checkpoints, self._settings)
        broken: set[str] = set()
        by_checkpoint: dict[str, list[Request]] = {}
        for request in requests:
            by_checkpoint.setdefault(request.checkpoint, []).append(request)
        for run_id, group in by_checkpoint.items():
            self._activate(run_id)
            try:
                yield from generation.generate(
                    self._model, group, self._decoder, self._settings.batch_size, self._learned
                )
            except CheckpointOverflow:  # told when all others are served
                broken.add(run_id)
        if broken:
            raise overflow(min(broken))

    def logprobs(self, checkpoint: str, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        self._activate(checkpoint)
        return generation.logprobs(self._model, prompts, self._learned)

    def close(self) -> None:
        self._model = None
        if machine.device() == "cuda":
            import torch

            torch.cuda.empty_cache()

    def _activate(self, run_id: str) -> None:
        """Give the model the weights, the adapter or the learned prompt of a checkpoint."""
        if run_id not in self._checkpoints:
            raise EngineError(f"run {run_id} is not loaded; load its checkpoint first.")
        checkpoint = self._checkpoints[run_id]
        wanted = checkpoint if checkpoint.route != "base" else None
        if self._live is wanted:
            return
        self._return_to_base()
        try:
            self._become(checkpoint)
        except Exception as error:
            if machine.is_out_of_memory(error):
                raise
            trouble = brief(error)
        else:
            self._live = wanted
            return
        # Half of it may be in the model. Out here, the error no longer keeps that alive.
        self._model = self._learned = None
        self._model = self._read_model()
        raise CheckpointError(
            f"the checkpoint of run {run_id} cannot be served ({trouble}); delete that run's "
            "folder and run again."
        )

    def _become(self, checkpoint: Checkpoint) -> None:
        match checkpoint.route:
            case "lora" | "transformers":
                from peft import PeftModel

                self._model = PeftModel.from_pretrained(self._model, checkpoint.folder).eval()
            case "soft_prompt" | "prefix":
                self._learned = read_learned(checkpoint.folder, self._base)
            case "modules":
                modules.load(self._model, checkpoint.folder)
            case "weights":
                self._read_weights(checkpoint)

    def _return_to_base(self) -> None:
        if self._live is None:
            return
        match self._live.route:
            case "lora":
                self._model = self._model.unload()
            case "soft_prompt" | "prefix":
                self._learned = None
            case "modules":
                modules.detach(self._model)
            case _:  # what some types of PEFT leave behind is not known
                self._model = self._read_model()
        self._live = None

    def _read_model(self) -> Any:
        return self._settings.model.load(self._dtype).to(machine.device()).eval()

    def _read_weights(self, checkpoint: Checkpoint) -> None:
        from safetensors.torch import load_file

        tensors: dict[str, Any] = {}
        for path in weight_files(checkpoint.folder, CheckpointError):
            tensors |= load_file(path)
        _, unknown = self._model.load_state_dict(tensors, strict=False)
        if unknown:  # check_weights compared the names with the base model's files
            raise CheckpointError(
                f"run {checkpoint.run_id} holds {unknown[0]}, which the base model has not."
            )
        self._model.tie_weights()

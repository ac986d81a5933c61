"""The fast engine: one vLLM in this process serves every checkpoint of a base model.

All LoRA adapters share one mixed batch. Rows of the base model have batches of their own: on
processors vLLM 0.32 gives a row without an adapter the adapter of the last slot. Full weights are
swapped into the live model, one checkpoint after the other.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from benchbench import hardware
from benchbench.engines import Completion, EngineSettings, Request, engine_spec
from benchbench.engines.adapters import Adapter, check_adapter
from benchbench.engines.architecture import Architecture
from benchbench.engines.text import Decoder
from benchbench.engines.vllm_calls import RANKS, Output, Vllm
from benchbench.engines.weights import check_weights
from benchbench.errors import BenchbenchError, CheckpointError, CheckpointOverflow, EngineError
from benchbench.record import Checkpoint, EngineSpec
from benchbench.task import Generation

SLOTS = 8
"""Adapters in one batch at most; more are served in order of their adapter."""

CACHE_TOKENS = 32_768
"""On a processor the key-value cache holds this many tokens, which costs time to clear."""

BASE = ""
"""What is live when no checkpoint's weights are."""


class VllmEngine:
    """Serves checkpoints of one base model through vLLM."""

    def __init__(self, settings: EngineSettings, checkpoints: Sequence[Checkpoint]) -> None:
        self.spec: EngineSpec = engine_spec("vllm", settings.precision)
        self._settings = settings
        self._base = Architecture.of(settings.model)
        self._decoder = Decoder.of(settings.model)
        self._checkpoints: dict[str, Checkpoint] = {}
        self._adapters: dict[str, tuple[str, int, Path]] = {}
        """Run id -> name, number and folder of its adapter."""
        self._numbers = count(1)
        self._live = BASE
        self._vllm: Vllm | None = self._open(self._good_adapters(checkpoints))

    def load(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Check checkpoints, first by our own rules, adapters then by vLLM's."""
        for checkpoint in checkpoints:
            if checkpoint.route == "lora":
                _servable(checkpoint, self._base)
                self._add(checkpoint)
            elif checkpoint.route == "weights":
                check_weights(checkpoint.folder, self._base, self._settings.model)
            elif checkpoint.route != "base":
                raise CheckpointError(
                    f"run {checkpoint.run_id} is served by route {checkpoint.route!r}, which this "
                    "engine does not know; use --engine transformers."
                )
            known = self._checkpoints.get(checkpoint.run_id)
            if known and known.sha256 != checkpoint.sha256 and self._live == checkpoint.run_id:
                self._swap(BASE)  # so that the new weights are read
            self._checkpoints[checkpoint.run_id] = checkpoint

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield completions as they finish: base rows, then all adapters mixed, then weights."""
        for run_id, group in self._groups(requests):
            self._swap(run_id)
            yield from self._serve(group)

    def logprobs(self, checkpoint: str, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        known = self._known(checkpoint)
        self._swap(checkpoint if known.route == "weights" else BASE)
        with self._closing_on_failure() as vllm:
            return vllm.prompt_logprobs(prompts, self._adapters.get(checkpoint))

    def close(self) -> None:
        if self._vllm is not None:
            self._vllm.close()
            self._vllm = None

    def _good_adapters(self, checkpoints: Sequence[Checkpoint]) -> list[Adapter]:
        """Return the adapters there will be; what is wrong with the others, ``load`` says."""
        adapters = []
        for checkpoint in checkpoints:
            if checkpoint.route == "lora":
                with suppress(CheckpointError):
                    adapters.append(_servable(checkpoint, self._base))
        return adapters

    def _open(self, adapters: Sequence[Adapter]) -> Vllm:
        options: dict[str, Any] = {
            "model": str(self._settings.model),
            "dtype": self._settings.precision,
            "max_model_len": self._settings.max_tokens,
            "seed": 0,
        }
        if hardware.device() == "cpu":
            options |= {"enforce_eager": True, "kv_cache_memory_bytes": self._cache_bytes()}
        if adapters:
            rank = max(adapter.rank for adapter in adapters)
            options |= {
                "enable_lora": True,
                "max_loras": min(SLOTS, len(adapters)),
                "max_cpu_loras": max(SLOTS, len(adapters)),
                "max_lora_rank": allowed_rank(rank),
                # Without the head: an adapter there is left out of prompt log-probabilities, and
                # on processors its mere possibility makes them fail.
                "lora_target_modules": self._base.targets,
            }
        try:
            return Vllm(options)
        except BenchbenchError:
            raise
        except Exception as error:
            raise EngineError(
                f"vLLM cannot serve {self._base.name} ({_first_line(error)}); "
                "use --engine transformers."
            ) from error

    def _cache_bytes(self) -> int:
        tokens = max(CACHE_TOKENS, 8 * self._settings.max_tokens)
        numbers = 2 if self._settings.precision == "float32" else 1
        return tokens * self._base.token_bytes * numbers

    def _groups(self, requests: Sequence[Request]) -> Iterator[tuple[str, list[Request]]]:
        """Yield what can be served together, with the weights that must be live for it."""
        plain: list[Request] = []
        adapted: list[Request] = []
        swapped: dict[str, list[Request]] = {}
        for request in requests:
            route = self._known(request.checkpoint).route
            if route == "weights":
                swapped.setdefault(request.checkpoint, []).append(request)
            else:
                (adapted if route == "lora" else plain).append(request)
        if len({request.checkpoint for request in adapted}) > SLOTS:
            adapted.sort(key=lambda request: request.checkpoint)
        for run_id, group in ((BASE, plain), (BASE, adapted), *swapped.items()):
            if group:
                yield run_id, group

    def _serve(self, requests: Sequence[Request]) -> Iterator[Completion]:
        with self._closing_on_failure() as vllm:
            waiting = {
                vllm.submit(
                    request.prompt, sampling(request), self._adapters.get(request.checkpoint)
                ): request
                for request in requests
            }
            try:
                while waiting:
                    for key, outputs in vllm.step():
                        yield self._completion(waiting.pop(key), outputs)
            finally:
                # Whoever stops listening must not leave requests to the next caller.
                vllm.abort(list(waiting))

    def _completion(self, request: Request, outputs: Sequence[Output]) -> Completion:
        if any(math.isnan(value) for output in outputs for value in output.logprobs):
            assert self._vllm is not None
            self._vllm.clear()
            raise CheckpointOverflow(
                request.checkpoint,
                f"run {request.checkpoint} produced log-probabilities that are not numbers: its "
                "weights overflow. Its results do not count; lower its learning rate.",
            )
        rows = [output.tokens for output in outputs]
        return self._decoder.completion(request.id, rows, request.generation)

    def _known(self, run_id: str) -> Checkpoint:
        if run_id not in self._checkpoints:
            raise EngineError(f"run {run_id} is not loaded; load its checkpoint first.")
        return self._checkpoints[run_id]

    def _add(self, checkpoint: Checkpoint) -> None:
        """Give vLLM an adapter under a number and a name that no other content ever had."""
        with self._usable() as vllm:
            if old := self._adapters.pop(checkpoint.run_id, None):
                vllm.remove_adapter(old[1])
            name = f"{checkpoint.run_id}-{checkpoint.sha256}"
            adapter = (name, next(self._numbers), checkpoint.folder)
            try:
                vllm.add_adapter(*adapter)
            except Exception as error:  # it lives on
                raise CheckpointError(
                    f"vLLM refuses the adapter of run {checkpoint.run_id} "
                    f"({_first_line(error)}); use --engine transformers."
                ) from error
            self._adapters[checkpoint.run_id] = adapter

    def _swap(self, run_id: str) -> None:
        """Make a checkpoint's weights, or the base model's, the live ones."""
        if self._live == run_id:
            return
        folder = self._checkpoints[run_id].folder if run_id else self._settings.model
        with self._closing_on_failure() as vllm:
            vllm.swap(folder)
            self._live = run_id
            for adapter in self._adapters.values():
                if adapter[1] not in vllm.adapters():  # a swap drops them
                    vllm.add_adapter(*adapter)

    @contextmanager
    def _usable(self) -> Iterator[Vllm]:
        if self._vllm is None:
            raise EngineError("this engine is closed; open a new one.")
        yield self._vllm

    @contextmanager
    def _closing_on_failure(self) -> Iterator[Vllm]:
        """Close an engine that failed within a step: its next step would never return."""
        with self._usable() as vllm:
            try:
                yield vllm
            except BenchbenchError:
                raise
            except Exception as error:
                self.close()
                raise EngineError(
                    f"vLLM failed ({type(error).__name__}: {_first_line(error)}); run again, or "
                    "use --engine transformers."
                ) from error


def sampling(request: Request) -> Mapping[str, Any]:
    """Return a request's sampling as vLLM's SamplingParams takes it."""
    generation: Generation = request.generation
    return {
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "max_tokens": generation.max_tokens,
        "n": generation.n,
        "stop": list(generation.stop) or None,
        "seed": request.seed if generation.temperature > 0 else None,
        # Of the chosen tokens: a NaN here is how an overflow shows.
        "logprobs": 0,
    }


def _servable(checkpoint: Checkpoint, base: Architecture) -> Adapter:
    adapter = check_adapter(checkpoint.folder, base)
    if adapter.rank > RANKS[-1]:
        raise CheckpointError(
            f"the adapter of run {checkpoint.run_id} has rank {adapter.rank}; vLLM serves up to "
            f"{RANKS[-1]}. Use --engine transformers."
        )
    return adapter


def allowed_rank(rank: int) -> int:
    """Return the smallest maximum that vLLM allows; larger ones cost time and memory."""
    return min(allowed for allowed in RANKS if allowed >= rank)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__

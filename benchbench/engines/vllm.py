"""The fast engine: one vLLM in this process serves every checkpoint of a base model.

All LoRA adapters share one mixed batch. Rows of the base model have batches of their own: on
processors vLLM 0.32 gives a row without an adapter the adapter of the last slot. Full weights are
swapped into the live model, one checkpoint after the other.
"""

import math
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from benchbench import hardware
from benchbench.engines import (
    Completion,
    EngineSettings,
    Request,
    check_requests,
    engine_spec,
    overflow,
    samples,
)
from benchbench.engines.adapters import Adapter, check_adapter
from benchbench.engines.architecture import Architecture
from benchbench.engines.text import Decoder
from benchbench.engines.vllm_calls import RANKS, Output, Vllm
from benchbench.engines.weights import check_weights
from benchbench.errors import BenchbenchError, CheckpointError, EngineError
from benchbench.record import Checkpoint, EngineSpec
from benchbench.task import Generation

SLOTS = 8
"""Adapters in one batch at most; more are served in order of their adapter."""

LEAST_KEPT = 64
"""Adapters vLLM keeps in memory, at least; it would read any more from disk again, unchecked."""

ROWS = 512
"""Sequences in one batch at most, on a processor (nano, 500 of them: 17 s; vLLM's 256: 20 s)."""

CACHE_TOKENS = 131_072
"""Tokens the key-value cache holds on a processor, 256 for each sequence of a batch."""

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
        adapters = self._good_adapters(checkpoints)
        self._targets = sorted({name for adapter in adapters for name in adapter.targets})
        self._kept = max(LEAST_KEPT, len(adapters))
        self._vllm: Vllm | None = self._open(adapters)

    def load(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Check checkpoints, first by our own rules, adapters then by vLLM's."""
        for checkpoint in checkpoints:
            if checkpoint.route == "lora":
                self._add(checkpoint, _servable(checkpoint, self._base))
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
        check_requests(requests, self._checkpoints, self._settings)
        broken: set[str] = set()
        for run_id, group in self._groups(requests):
            self._swap(run_id)
            while group := [r for r in group if r.checkpoint not in broken]:
                group = yield from self._serve(group, broken)
        if broken:
            raise overflow(min(broken))

    def logprobs(self, checkpoint: str, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        generation = Generation(max_tokens=1)  # vLLM always generates something
        check_requests(
            [
                Request(id=str(n), checkpoint=checkpoint, prompt=tuple(p), generation=generation)
                for n, p in enumerate(prompts)
            ],
            self._checkpoints,
            self._settings,
        )
        self._swap(checkpoint if self._checkpoints[checkpoint].route == "weights" else BASE)
        with self._closing_on_failure() as vllm:
            rows = vllm.prompt_logprobs(prompts, self._adapters.get(checkpoint))
            if any(math.isnan(value) for row in rows for value in row):
                vllm.clear()
        return rows

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
            options |= {
                "enforce_eager": True,
                "max_num_seqs": ROWS,
                "kv_cache_memory_bytes": self._cache_bytes(),
            }
        if adapters:
            rank = max(adapter.rank for adapter in adapters)
            options |= {
                "enable_lora": True,
                "max_loras": min(SLOTS, len(adapters)),
                "max_cpu_loras": self._kept,
                "max_lora_rank": allowed_rank(rank),
                # What some adapter adapts, and no more: any other layer costs as much time on a
                # processor. Never the head: an adapter there is left out of prompt
                # log-probabilities, and on processors its mere possibility makes them fail.
                "lora_target_modules": self._targets,
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
        """Return the size of the cache on a processor, within a quarter of its memory."""
        size = 4 if self._settings.precision == "float32" else 2
        token = 2 * math.prod(self._base.cache) * size
        wanted = token * max(CACHE_TOKENS, 8 * self._settings.max_tokens)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return min(wanted, max(memory // 4, token * self._settings.max_tokens))

    def _groups(self, requests: Sequence[Request]) -> Iterator[tuple[str, list[Request]]]:
        """Yield what can be served together, with the weights that must be live for it."""
        plain: list[Request] = []
        adapted: list[Request] = []
        swapped: dict[str, list[Request]] = {}
        for request in requests:
            route = self._checkpoints[request.checkpoint].route
            if route == "weights":
                swapped.setdefault(request.checkpoint, []).append(request)
            else:
                (adapted if route == "lora" else plain).append(request)
        if len({request.checkpoint for request in adapted}) > SLOTS:
            adapted.sort(key=lambda request: request.checkpoint)
        for run_id, group in ((BASE, plain), (BASE, adapted), *swapped.items()):
            if group:
                yield run_id, group

    def _serve(
        self, requests: Sequence[Request], broken: set[str]
    ) -> Generator[Completion, None, list[Request]]:
        """Yield completions; return what is to be served again, because something was NaN."""
        with self._closing_on_failure() as vllm:
            waiting: dict[str, Request] = {}
            try:
                for request in requests:
                    adapter = self._adapters.get(request.checkpoint)
                    key = vllm.submit(request.prompt, self._sampling(request), adapter)
                    waiting[key] = request
                while waiting and not broken & {r.checkpoint for r in waiting.values()}:
                    done = [(waiting.pop(key), outputs) for key, outputs in vllm.step()]
                    broken |= {request.checkpoint for request, outputs in done if has_nan(outputs)}
                    for request, outputs in done:
                        if request.checkpoint not in broken:
                            yield self._completion(request, outputs)
            finally:
                # Whoever stops listening must not leave requests to the next caller.
                if self._vllm is not None:
                    vllm.abort(list(waiting))
            if broken & {request.checkpoint for request in requests}:
                # On processors, and on GPUs with flash-attention 3, a NaN in a freed block spoils
                # whoever gets the block next. What is under way starts again from a clean cache.
                vllm.clear()
        return list(waiting.values())

    def _completion(self, request: Request, outputs: Sequence[Output]) -> Completion:
        rows = [output.tokens for output in outputs] * (request.generation.n // len(outputs))
        return self._decoder.completion(request.id, rows, request.generation)

    def _sampling(self, request: Request) -> Mapping[str, Any]:
        """Return a request's sampling as vLLM's SamplingParams takes it."""
        generation = request.generation
        return {
            "temperature": generation.temperature,
            "top_p": generation.top_p,
            "max_tokens": generation.max_tokens,
            "n": samples(request),
            "stop": list(generation.stop) or None,
            # The text is decoded here, by one tokenizer for both engines; vLLM's is for its stops.
            "detokenize": bool(generation.stop),
            "stop_token_ids": list(self._decoder.ends),
            "seed": request.seed if generation.temperature > 0 else None,
            # Of the chosen tokens: a NaN here is how an overflow shows.
            "logprobs": 0,
        }

    def _check_room(self, checkpoint: Checkpoint, adapter: Adapter) -> None:
        """Refuse what this engine was not opened for, and vLLM would leave out or read late."""
        if not set(adapter.targets) <= set(self._targets) or len(self._adapters) >= self._kept:
            raise EngineError(
                f"the adapter of run {checkpoint.run_id} adapts {', '.join(adapter.targets)}, and "
                f"this engine was opened for up to {self._kept} adapters of "
                f"{', '.join(self._targets) or 'no layer'}; open one with all checkpoints."
            )

    def _add(self, checkpoint: Checkpoint, adapter: Adapter) -> None:
        """Give vLLM an adapter under a number and a name that no other content ever had."""
        self._check_room(checkpoint, adapter)
        self._swap(BASE)
        with self._usable() as vllm:
            if old := self._adapters.pop(checkpoint.run_id, None):
                vllm.remove_adapter(old[1])
                # Known without its adapter, it would be answered by the base model.
                self._checkpoints.pop(checkpoint.run_id, None)
            number = next(self._numbers)
            known = (f"{checkpoint.run_id}-{checkpoint.sha256}-{number}", number, checkpoint.folder)
            try:
                vllm.add_adapter(*known)
            except Exception as error:  # it lives on
                raise CheckpointError(
                    f"vLLM refuses the adapter of run {checkpoint.run_id} "
                    f"({_first_line(error)}); use --engine transformers."
                ) from error
            self._adapters[checkpoint.run_id] = known

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


def has_nan(outputs: Sequence[Output]) -> bool:
    return any(math.isnan(value) for output in outputs for value in output.logprobs)


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

"""The fast engine: one vLLM in this process serves every checkpoint of a base model.

All LoRA adapters share one mixed batch. Rows of the base model have batches of their own, with
those of soft prompts: on processors vLLM 0.32 gives a row without an adapter the adapter of the
last slot. Whatever changes the live model is served one checkpoint after the other.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from benchbench import machine
from benchbench.checkpoints.learned import Prefix, SoftPrompt
from benchbench.checkpoints.lora import Adapter
from benchbench.checkpoints.modules import Added
from benchbench.checkpoints.routes import read_checkpoint
from benchbench.contract.task import Generation
from benchbench.engines.choice import VLLM
from benchbench.engines.engine import (
    Completion,
    EngineSettings,
    Request,
    check_requests,
    overflow,
)
from benchbench.engines.text import Decoder
from benchbench.engines.vllm.calls import RANKS, Vllm, prompt_of
from benchbench.engines.vllm.exchange import PROMPT, Exchange, Question, has_nan, kind
from benchbench.engines.vllm.live import IN_THE_MODEL, Live, Served
from benchbench.engines.vllm.room import Room, allowed_rank
from benchbench.errors import (
    BenchbenchError,
    CheckpointError,
    CheckpointUnserved,
    EngineError,
    brief,
    telling,
)
from benchbench.records.record import Checkpoint, EngineSpec

SLOTS = 8
"""Adapters in one batch at most; more are served in order of their adapter."""

ROWS = 512
"""Sequences in one batch at most, on a processor (nano, 500 of them: 17 s; vLLM's 256: 20 s)."""

BLOCK = 128
"""Tokens in a block of the key-value cache on a processor."""

CACHE_TOKENS = 131_072
"""Tokens the key-value cache holds on a processor, 256 for each sequence of a batch."""


class VllmEngine:
    """Serves checkpoints of one base model through vLLM."""

    def __init__(self, settings: EngineSettings, checkpoints: Sequence[Checkpoint]) -> None:
        self.spec: EngineSpec = VLLM.spec(settings.precision)
        self._settings = settings
        self._base = settings.model.architecture
        self._decoder = Decoder.of(settings.model)
        self._served: dict[str, Served] = {}
        self._read: dict[str, Served] = {}
        """What was read to know what the engine needs, until it is loaded."""
        for checkpoint in checkpoints:
            with suppress(CheckpointError):  # it needs no room, and is refused when it is loaded
                self._read[checkpoint.run_id] = self._served_as(checkpoint)
        self._room = Room.of([content for _, content in self._read.values()])
        self._live: Live | None = self._open()

    def load(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Check checkpoints, first by our own rules, then by what vLLM has a place for."""
        for checkpoint in checkpoints:
            self._forget(checkpoint.run_id)
            found = self._read.pop(checkpoint.run_id, None)
            if found is None or found.checkpoint != checkpoint:
                found = self._served_as(checkpoint)
            live = self._usable()
            self._room.check(checkpoint.run_id, found.content, len(live.adapters))
            if obstacle := self._put_into(live, found):
                raise CheckpointUnserved(f"{obstacle}; use --engine transformers.")
            self._served[checkpoint.run_id] = found

    def _served_as(self, checkpoint: Checkpoint) -> Served:
        """Read a checkpoint; CheckpointError for one that vLLM cannot serve."""
        found = read_checkpoint(checkpoint, self._settings.model, self._settings.max_tokens)
        if checkpoint.route not in VLLM.routes:
            raise CheckpointUnserved(
                f"run {checkpoint.run_id} is of route {checkpoint.route!r}, which vLLM does not "
                "serve; use --engine transformers."
            )
        if isinstance(found, Adapter) and found.rank > RANKS[-1]:
            raise CheckpointUnserved(
                f"the adapter of run {checkpoint.run_id} has rank {found.rank}; vLLM serves up to "
                f"{RANKS[-1]}. Use --engine transformers."
            )
        return Served(checkpoint, found)

    def _forget(self, run_id: str) -> None:
        """Drop what a run was before: refused or of another route, it must not answer for it."""
        self._served.pop(run_id, None)
        with self._closing_on_failure() as live:
            if live.is_of(run_id):
                live.become(None)
            live.remove_adapter(run_id)

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield completions as they finish: base rows with soft prompts, then all adapters mixed,
        then checkpoint by checkpoint what changes the live model."""
        check_requests(requests, self._served, self._settings)
        broken: set[str] = set()
        for served, group in self._groups(requests):
            with self._closing_on_failure() as live:
                live.become(served)
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
            self._served,
            self._settings,
        )
        with self._closing_on_failure() as live:
            live.become(self._served[checkpoint])
            keys = [
                live.vllm.submit(
                    self._prompt(checkpoint, tokens), PROMPT, live.adapters.get(checkpoint)
                )
                for tokens in prompts
            ]
            done: dict[str, tuple[float, ...]] = {}
            while len(done) < len(keys):
                done |= {key: outputs[0].prompt for key, outputs in live.vllm.step()}
            # From the end: before them stands what a checkpoint has learned.
            rows = [
                list(done[key][len(done[key]) - len(tokens) + 1 :])
                for key, tokens in zip(keys, prompts, strict=True)
            ]
            if any(math.isnan(value) for row in rows for value in row):
                live.vllm.clear()
        return rows

    def close(self) -> None:
        if self._live is not None:
            self._live.vllm.close()
            self._live = None

    def _open(self) -> Live:
        options: dict[str, Any] = {
            "model": str(self._settings.model.folder),
            "dtype": self._settings.precision,
            "max_model_len": self._settings.max_tokens + self._room.learned_tokens,
            "seed": 0,
            "enforce_eager": machine.device() == "cpu",
        }
        if machine.device() == "cpu":
            options |= {"max_num_seqs": ROWS, "kv_cache_memory_bytes": self._cache_bytes()}
        if self._room.soft_prompt_tokens:
            options["enable_prompt_embeds"] = True
        if self._room.adapters:
            options |= {
                "enable_lora": True,
                "max_loras": min(SLOTS, self._room.adapters),
                "max_cpu_loras": self._room.kept,
                "max_lora_rank": allowed_rank(self._room.rank),
                # What some adapter adapts, and no more: any other layer costs as much time on a
                # processor. Never the head: an adapter there is left out of prompt
                # log-probabilities, and on processors its mere possibility makes them fail.
                "lora_target_modules": list(self._room.targets),
            }
        what, advice = f"vLLM cannot serve {self._base.name}", "use --engine transformers."
        with telling(lambda error: EngineError(f"{what} ({brief(error)}); {advice}")):
            vllm = Vllm(options, added=self._room.added, prefix_tokens=self._room.prefix_tokens)
            return Live(vllm, self._settings.model.folder)

    def _cache_bytes(self) -> int:
        """Return the size of the cache on a processor, within a quarter of its memory."""
        size = 4 if self._settings.precision == "float32" else 2
        token = 2 * math.prod(self._base.cache) * size
        longest = self._settings.max_tokens + self._room.learned_tokens
        longest = math.ceil(longest / BLOCK) * BLOCK
        least = token * (longest + BLOCK)  # vLLM keeps a block for itself
        return min(token * max(CACHE_TOKENS, 8 * longest), max(machine.memory() // 4, least))

    def _groups(self, requests: Sequence[Request]) -> Iterator[tuple[Served | None, list[Request]]]:
        """Yield what can be served together, with the checkpoint that must be live for it."""
        groups: dict[tuple[int, str, str], list[Request]] = {}
        for request in requests:
            content = self._served[request.checkpoint].content
            alone = isinstance(content, IN_THE_MODEL)
            turn = 2 if alone else int(isinstance(content, Adapter))
            key = turn, request.checkpoint if alone else "", kind(request)
            groups.setdefault(key, []).append(request)
        for (turn, run_id, _), group in sorted(groups.items(), key=lambda item: item[0]):
            if turn == 1 and len({request.checkpoint for request in group}) > SLOTS:
                group.sort(key=lambda request: request.checkpoint)
            yield self._served.get(run_id), group

    def _serve(
        self, requests: Sequence[Request], broken: set[str]
    ) -> Generator[Completion, None, list[Request]]:
        """Yield completions; return what is to be served again, because something was NaN."""
        with self._closing_on_failure() as live:
            vllm = live.vllm
            waiting: dict[str, tuple[Exchange, Question]] = {}

            def ask(exchange: Exchange, question: Question) -> None:
                adapter = live.adapters.get(exchange.request.checkpoint)
                key = vllm.submit(question.prompt, question.sampling, adapter)
                waiting[key] = exchange, question

            open_: dict[str, Exchange] = {}
            for request in requests:
                prompted = partial(self._prompt, request.checkpoint)
                learned = self._served[request.checkpoint].content.tokens
                open_[request.id] = Exchange(request, prompted, learned, self._decoder.ends)
            checkpoints = {request.checkpoint for request in requests}
            try:
                for exchange in open_.values():
                    ask(exchange, exchange.first())
                # Not only while the broken one has requests left: what it freed is spoilt.
                while waiting and not broken & checkpoints:
                    done = [(*waiting.pop(key), outputs) for key, outputs in vllm.step()]
                    broken |= {e.request.checkpoint for e, _, outputs in done if has_nan(outputs)}
                    for exchange, question, outputs in done:
                        if exchange.request.checkpoint in broken:
                            continue
                        for further in exchange.answer(question, outputs):
                            ask(exchange, further)
                        if exchange.is_done:
                            del open_[exchange.request.id]
                            yield exchange.completion(self._decoder)
            finally:
                # Whoever stops listening must not leave requests to the next caller.
                if self._live is not None:
                    vllm.abort(list(waiting))
            if broken & checkpoints:
                # On processors, and on GPUs with flash-attention 3, a NaN in a freed block spoils
                # whoever gets the block next. What is under way starts again from a clean cache.
                vllm.clear()
        return [exchange.request for exchange in open_.values()]

    def _prompt(self, run_id: str, tokens: Sequence[int]) -> Any:
        match self._served[run_id].content:
            case SoftPrompt(embeddings):
                return prompt_of(tokens, embeddings)
            case Prefix() as prefix:  # placeholders, which the live model's hooks write over
                return prompt_of([0] * prefix.tokens + list(tokens))
        return prompt_of(tokens)

    def _put_into(self, live: Live, served: Served) -> str | None:
        """Give vLLM an adapter, or see that it has places for the rest; say why that cannot be."""
        run_id, model = served.checkpoint.run_id, f"vLLM's {self._base.name}"
        match served.content:
            case Adapter():
                with self._closing_on_failure():
                    live.become(None)
                try:
                    live.add_adapter(served.checkpoint)
                except Exception as error:  # vLLM lives on
                    return f"vLLM refuses the adapter of run {run_id} ({brief(error)})"
            case Prefix() if live.vllm.attentions() != self._base.cache[0]:
                return (
                    f"{model} has not one attention a layer, so the prefix of run {run_id} has no "
                    "place there"
                )
            case Added(modules) if gone := live.vllm.unplaced([each.layer for each in modules]):
                return f"{model} has no layer {gone[0]}, where run {run_id} adds a module"
        return None

    def _usable(self) -> Live:
        if self._live is None:
            raise EngineError("this engine is closed; open a new one.")
        return self._live

    @contextmanager
    def _closing_on_failure(self) -> Iterator[Live]:
        """Close an engine that failed within a step: its next step would never return."""
        live = self._usable()
        try:
            yield live
        except BenchbenchError:
            raise
        except Exception as error:
            self.close()
            raise EngineError(
                f"vLLM failed ({type(error).__name__}: {brief(error)}); run again, or use "
                "--engine transformers."
            ) from error

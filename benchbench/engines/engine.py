"""What every engine is asked and answers, whatever serves."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchbench.contract.task import Generation
from benchbench.errors import CheckpointOverflow, EngineError
from benchbench.models.base import BaseModel
from benchbench.records.record import Checkpoint, EngineSpec
from benchbench.specs import Precision


@dataclass(frozen=True, kw_only=True)
class Request:
    """One prompt for one checkpoint."""

    id: str
    """Unique within a call of ``complete``."""
    checkpoint: str
    """Run id of a loaded checkpoint."""
    prompt: tuple[int, ...]
    """Token ids, made by us: the same for every engine."""
    generation: Generation
    choices: tuple[tuple[int, ...], ...] = ()
    """Token ids of continuations to rank; then nothing is generated."""
    seed: int = 0
    """Of this request's sampling; ignored when greedy."""

    @property
    def length(self) -> int:
        """Tokens of the prompt and the longest that may follow."""
        if self.choices:  # vLLM always generates something
            return len(self.prompt) + max(map(len, self.choices)) + 1
        return len(self.prompt) + self.generation.max_tokens


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What an engine answered; ``texts`` and its neighbours have ``generation.n`` entries."""

    id: str
    texts: tuple[str, ...] = ()
    """Without special tokens, up to the first stop text."""
    tokens: tuple[tuple[int, ...], ...] = ()
    """What was generated, down to the token that ended it."""
    finish_reasons: tuple[str, ...] = ()
    """``stop`` (end of sequence or a stop text) or ``length``."""
    choices: tuple[float, ...] = ()
    """ln p(choice | prompt) of each choice that was to be ranked, over all its tokens."""


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """How to open an engine."""

    model: BaseModel
    precision: Precision
    max_tokens: int
    """Longest prompt and completion together; at most the model's context."""
    batch_size: int = 64
    """Rows at once in the transformers engine; vLLM batches by itself."""


class Engine(Protocol):
    """Serves checkpoints of one base model."""

    @property
    def spec(self) -> EngineSpec: ...

    def load(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Check and preload checkpoints; raises CheckpointError, and the engine lives on."""

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield completions as they finish, in any order.

        A checkpoint that computes NaN gets none: CheckpointOverflow names it, after all others.
        """

    def logprobs(self, checkpoint: str, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        """Return ln p(token | tokens before) for every token of each prompt but the first.

        Of an encoder-decoder model, for those of each prompt's second half. Prompts are shorter
        than ``max_tokens``. A broken checkpoint's may be NaN.
        """

    def close(self) -> None:
        """Free what the engine holds; it cannot be used afterwards."""


def check_requests(
    requests: Sequence[Request], loaded: Container[str], settings: EngineSettings
) -> None:
    """Raise EngineError for requests that no engine can answer rightly."""
    if len({request.id for request in requests}) < len(requests):
        raise EngineError("two requests have the same id; give each its own.")
    for request in requests:
        if request.checkpoint not in loaded:
            raise EngineError(f"run {request.checkpoint} is not loaded; load its checkpoint first.")
        # vLLM would generate fewer tokens than asked for, and not say so.
        if not request.prompt or request.length > settings.max_tokens:
            raise EngineError(
                f"request {request.id} has a prompt of {len(request.prompt)} tokens, before "
                f"{request.length - len(request.prompt)} to generate or to rank; a prompt must not "
                f"be empty, and both together take at most {settings.max_tokens} tokens in this "
                "engine."
            )
        if not all(request.choices):
            raise EngineError(f"request {request.id} ranks a choice of no token.")


def samples(request: Request) -> int:
    """Return how many completions to compute: greedy ones are all the same, so one."""
    return request.generation.n if request.generation.temperature > 0 else 1


def is_next_token(choices: Sequence[tuple[int, ...]]) -> bool:
    """Whether choices are ranked by the next token alone."""
    return all(len(choice) == 1 for choice in choices)


def overflow(run_id: str) -> CheckpointOverflow:
    """Return the error for a checkpoint whose finite weights compute NaN."""
    return CheckpointOverflow(
        run_id,
        f"run {run_id} produced log-probabilities that are not numbers: its weights overflow. Its "
        "results do not count; lower its learning rate.",
    )

"""What a vLLM must have room for: it is told when it opens, and cannot grow afterwards."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from benchbench.engines import EngineSettings
from benchbench.engines.adapters import Adapter, check_adapter
from benchbench.engines.architecture import Architecture
from benchbench.engines.soft import Learned, Prefix, check_length, read_learned
from benchbench.engines.vllm_calls import RANKS
from benchbench.errors import CheckpointError, EngineError
from benchbench.record import Checkpoint

LEAST_KEPT = 64
"""Adapters vLLM keeps in memory, at least; it would read any more from disk again, unchecked."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What an engine's checkpoints need; a bad checkpoint needs nothing, and is refused later."""

    adapters: int
    rank: int
    """The largest of all adapters."""
    targets: tuple[str, ...]
    """Last names of all layers that some adapter adapts."""
    learned_tokens: int
    """Of the longest soft prompt or prefix."""
    soft_prompts: bool
    hooks: bool
    """Whether something is hung on the live model."""

    @classmethod
    def of(
        cls, settings: EngineSettings, base: Architecture, checkpoints: Sequence[Checkpoint]
    ) -> "Room":
        adapters: list[Adapter] = []
        learned: list[Learned] = []
        for checkpoint in checkpoints:
            with suppress(CheckpointError):
                if checkpoint.route == "lora":
                    adapters.append(servable(checkpoint, base))
                elif checkpoint.route in ("soft_prompt", "prefix"):
                    one = read_learned(checkpoint.folder, base)
                    check_length(checkpoint, one, settings, base)
                    learned.append(one)
        return cls(
            adapters=len(adapters),
            rank=max((adapter.rank for adapter in adapters), default=0),
            targets=tuple(sorted({name for adapter in adapters for name in adapter.targets})),
            learned_tokens=max((one.tokens for one in learned), default=0),
            soft_prompts=any(not isinstance(one, Prefix) for one in learned),
            hooks=any(checkpoint.route in ("modules", "prefix") for checkpoint in checkpoints),
        )

    @property
    def kept(self) -> int:
        """Adapters that are kept in memory."""
        return max(LEAST_KEPT, self.adapters)

    def check_adapter(self, checkpoint: Checkpoint, base: Architecture, others: int) -> None:
        """Refuse what vLLM would leave out or read late."""
        adapter = servable(checkpoint, base)
        if not set(adapter.targets) <= set(self.targets) or others >= self.kept:
            raise EngineError(
                f"the adapter of run {checkpoint.run_id} adapts {', '.join(adapter.targets)}, and "
                f"this engine was opened for up to {self.kept} adapters of "
                f"{', '.join(self.targets) or 'no layer'}; open one with all checkpoints."
            )

    def check_learned(self, checkpoint: Checkpoint, learned: Learned) -> None:
        """Refuse a prompt that is longer than those the engine was opened for."""
        fits = self.hooks if isinstance(learned, Prefix) else self.soft_prompts
        if not fits or learned.tokens > self.learned_tokens:
            raise EngineError(
                f"run {checkpoint.run_id} learned {learned.tokens} tokens, and this engine was "
                f"opened for up to {self.learned_tokens} of other kinds of checkpoints; open one "
                "with all checkpoints."
            )

    def check_hooks(self, checkpoint: Checkpoint) -> None:
        """Refuse modules in an engine that may be compiled, which would leave them out."""
        if not self.hooks:
            raise EngineError(
                f"run {checkpoint.run_id} adds modules, and this engine was opened for none; open "
                "one with all checkpoints."
            )


def servable(checkpoint: Checkpoint, base: Architecture) -> Adapter:
    """Return an adapter that vLLM serves; CheckpointError for any other."""
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

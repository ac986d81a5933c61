"""What a vLLM must have room for: it is told when it opens, and cannot grow afterwards."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from benchbench.checkpoints.check import check_modules
from benchbench.checkpoints.learned import Learned, Prefix, SoftPrompt, check_length, read_learned
from benchbench.checkpoints.lora import Adapter, check_adapter
from benchbench.checkpoints.modules import AddedModule
from benchbench.engines.engine import EngineSettings
from benchbench.engines.vllm.calls import RANKS
from benchbench.engines.vllm.places import fits
from benchbench.errors import CheckpointError, CheckpointUnserved, EngineError
from benchbench.models.architecture import Architecture
from benchbench.records.record import Checkpoint

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
    soft_prompt_tokens: int
    """Of the longest soft prompt."""
    prefix_tokens: int
    """Of the longest prefix."""
    added: tuple[AddedModule, ...]
    """One for all modules that can share a place."""

    @classmethod
    def of(
        cls, settings: EngineSettings, base: Architecture, checkpoints: Sequence[Checkpoint]
    ) -> "Room":
        adapters: list[Adapter] = []
        learned: list[Learned] = []
        added: list[AddedModule] = []
        for checkpoint in checkpoints:
            with suppress(CheckpointError):
                if checkpoint.route == "lora":
                    adapters.append(servable(checkpoint, base))
                elif checkpoint.route in ("soft_prompt", "prefix"):
                    one = read_learned(checkpoint.folder, base)
                    check_length(checkpoint, one, settings.max_tokens, base)
                    learned.append(one)
                elif checkpoint.route == "modules":
                    added += check_modules(checkpoint.folder, base)
        return cls(
            adapters=len(adapters),
            rank=max((adapter.rank for adapter in adapters), default=0),
            targets=tuple(sorted({name for adapter in adapters for name in adapter.targets})),
            soft_prompt_tokens=longest(learned, SoftPrompt),
            prefix_tokens=longest(learned, Prefix),
            added=shared(added),
        )

    @property
    def learned_tokens(self) -> int:
        """Of the longest of both kinds, before a prompt."""
        return max(self.soft_prompt_tokens, self.prefix_tokens)

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
        most = self.prefix_tokens if isinstance(learned, Prefix) else self.soft_prompt_tokens
        if learned.tokens > most:
            raise EngineError(
                f"run {checkpoint.run_id} learned {learned.tokens} tokens, and this engine was "
                f"opened for up to {most} of its kind; open one with all checkpoints."
            )

    def check_added(self, checkpoint: Checkpoint, added: Sequence[AddedModule]) -> None:
        """Refuse modules that have no place, which a compiled model cannot be given later."""
        for module in added:
            if not any(fits(module, place) for place in self.added):
                raise EngineError(
                    f"run {checkpoint.run_id} adds a module of width {module.width} to "
                    f"{module.layer}, and this engine was opened for no such one; open one with "
                    "all checkpoints."
                )


def shared(added: Sequence[AddedModule]) -> tuple[AddedModule, ...]:
    """Return places for modules: what differs in nothing but width and scale shares one."""
    places: list[AddedModule] = []
    for module in sorted(added, key=lambda module: -module.width):
        if not any(fits(module, place) for place in places):
            places.append(replace(module, scale=1.0))
    return tuple(places)


def longest(learned: Sequence[Learned], kind: type[Learned]) -> int:
    return max((one.tokens for one in learned if isinstance(one, kind)), default=0)


def servable(checkpoint: Checkpoint, base: Architecture) -> Adapter:
    """Return an adapter that vLLM serves; CheckpointError for any other."""
    adapter = check_adapter(checkpoint.folder, base)
    if adapter.rank > RANKS[-1]:
        raise CheckpointUnserved(
            f"the adapter of run {checkpoint.run_id} has rank {adapter.rank}; vLLM serves up to "
            f"{RANKS[-1]}. Use --engine transformers."
        )
    return adapter


def allowed_rank(rank: int) -> int:
    """Return the smallest maximum that vLLM allows; larger ones cost time and memory."""
    return min(allowed for allowed in RANKS if allowed >= rank)

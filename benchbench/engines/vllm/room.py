"""What a vLLM must have room for: it is told when it opens, and cannot grow afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchbench.checkpoints.format import Format
from benchbench.checkpoints.learned import Prefix, SoftPrompt
from benchbench.checkpoints.lora import Adapter
from benchbench.checkpoints.modules import Added, AddedModule
from benchbench.engines.vllm.calls import RANKS
from benchbench.engines.vllm.places import fits
from benchbench.errors import EngineError

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
    def of(cls, contents: Sequence[Format]) -> "Room":
        """Return the room for checkpoints that were read."""
        adapters = [each for each in contents if isinstance(each, Adapter)]
        added = [module for each in contents if isinstance(each, Added) for module in each.modules]
        return cls(
            adapters=len(adapters),
            rank=max((adapter.rank for adapter in adapters), default=0),
            targets=tuple(sorted({name for adapter in adapters for name in adapter.targets})),
            soft_prompt_tokens=longest(contents, SoftPrompt),
            prefix_tokens=longest(contents, Prefix),
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

    def check(self, run_id: str, content: Format, others: int) -> None:
        """Refuse what was not dimensioned for: vLLM would leave it out, or read it late.

        ``others`` are the adapters that are loaded.
        """
        match content:
            case Adapter():
                if set(content.targets) <= set(self.targets) and others < self.kept:
                    return
                what = f"the adapter of run {run_id} adapts {', '.join(content.targets)}"
                targets = ", ".join(self.targets) or "no layer"
                room = f"up to {self.kept} adapters of {targets}"
            case SoftPrompt() | Prefix():
                is_prefix = isinstance(content, Prefix)
                most = self.prefix_tokens if is_prefix else self.soft_prompt_tokens
                if content.tokens <= most:
                    return
                what = f"run {run_id} learned {content.tokens} tokens"
                room = f"up to {most} of its kind"
            case Added():  # a compiled model cannot be given places later
                homeless = (m for m in content.modules if not any(fits(m, p) for p in self.added))
                if (module := next(homeless, None)) is None:
                    return
                what = f"run {run_id} adds a module of width {module.width} to {module.layer}"
                room = "no such one"
            case _:
                return
        raise EngineError(
            f"{what}, and this engine was opened for {room}; open one with all checkpoints."
        )


def shared(added: Sequence[AddedModule]) -> tuple[AddedModule, ...]:
    """Return places for modules: what differs in nothing but width and scale shares one."""
    places: list[AddedModule] = []
    for module in sorted(added, key=lambda module: -module.width):
        if not any(fits(module, place) for place in places):
            places.append(replace(module, scale=1.0))
    return tuple(places)


def longest(contents: Sequence[Format], kind: type[Format]) -> int:
    """Return the tokens of the longest content of a kind."""
    return max((each.tokens for each in contents if isinstance(each, kind)), default=0)


def allowed_rank(rank: int) -> int:
    """Return the smallest maximum that vLLM allows; larger ones cost time and memory."""
    return min(allowed for allowed in RANKS if allowed >= rank)

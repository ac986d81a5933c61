"""A mix: training samples of several tasks, so many of each, in an order that a seed draws."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from benchbench.errors import DataError
from benchbench.specs import TaskSpec, read_toml

SUFFIX = ".toml"


@dataclass(frozen=True, kw_only=True)
class MixFile:
    """What a mix's file may say."""

    summary: Annotated[str, "a text"] = ""
    seed: Annotated[int, "a whole number"]
    components: Annotated[Mapping[str, Any], "a [components] table such as alpaca = 1000"]


@dataclass(frozen=True, kw_only=True)
class Component:
    """A task whose training samples go into a mix."""

    label: str
    """As the mix names it, e.g. ``cot:examples=with``."""
    task: TaskSpec
    count: int | Literal["all"]
    """How many of its samples are drawn."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Training samples of several tasks, so many of each."""

    name: str
    seed: int
    """Draws which samples are taken, and their order; independent of a run's."""
    components: tuple[Component, ...]
    summary: str = ""

    def spec(self, tasks: Sequence[TaskSpec]) -> TaskSpec:
        """Return what a run says it was trained on; ``tasks`` are the components', resolved."""
        components = [
            {"label": component.label, "count": component.count, "task": asdict(task)}
            for component, task in zip(self.components, tasks, strict=True)
        ]
        params = {"seed": self.seed, "components": components}
        return TaskSpec(name=self.name, protocol="mix", split="train", version=1, params=params)


def find_mix(named: str, registered: Mapping[str, Mix]) -> Mix | None:
    """Return the mix that a name or a TOML file's path stands for; None where it is neither."""
    return read_mix(Path(named)) if named.endswith(SUFFIX) else registered.get(named)


def read_mix(path: Path) -> Mix:
    """Read a mix's TOML file; raises DataError naming file and key."""
    what = "a mix is a TOML file with a seed and a [components] table."
    said = read_toml(path, MixFile, DataError, what)
    return Mix(
        name=path.stem,
        seed=said.seed,
        components=tuple(_component(path, *item) for item in said.components.items()),
        summary=said.summary,
    )


def _component(path: Path, label: str, count: object) -> Component:
    if count != "all" and (type(count) is not int or count < 1):
        raise DataError(
            f"{label!r} of the components in {str(path)!r} is {count!r}; it must be how many "
            'samples to take, 1 or more, or "all".'
        )
    return Component(label=label, task=TaskSpec.parse(label), count=count)

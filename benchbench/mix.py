"""A mix: training samples of several tasks, so many of each, in an order that a seed draws."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from benchbench.errors import DataError
from benchbench.specs import TaskSpec
from benchbench.task import Sample

SUFFIX = ".toml"
KEYS: Mapping[str, tuple[type, str]] = {
    "summary": (str, "a text"),
    "seed": (int, "a whole number"),
    "components": (dict, "a [components] table such as alpaca = 1000"),
}
REQUIRED = ("seed", "components")


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


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A sample of a mix."""

    component: int
    """Which of the mix's components it is of: that task and its protocol render it."""
    sample: Sample
    """Its id begins with its component's label."""


def find_mix(named: str, registered: Mapping[str, Mix]) -> Mix | None:
    """Return the mix that a name or a TOML file's path stands for; None where it is neither."""
    return read_mix(Path(named)) if named.endswith(SUFFIX) else registered.get(named)


def read_mix(path: Path) -> Mix:
    """Read a mix's TOML file; raises DataError naming file and key."""
    try:
        text = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(
            f"cannot read {str(path)!r} ({error.strerror}); a mix is a TOML file with a seed and "
            "a [components] table."
        ) from error
    except ValueError as error:
        raise DataError(f"{str(path)!r} is not valid TOML: {error}.") from error
    _check_keys(path, text)
    return Mix(
        name=path.stem,
        seed=text["seed"],
        components=tuple(_component(path, *item) for item in text["components"].items()),
        summary=text.get("summary", ""),
    )


def draw(mix: Mix, samples: Sequence[Sequence[Sample]]) -> tuple[Drawn, ...]:
    """Draw a mix from its components' training samples, given in the order of its components.

    Which samples are drawn depends on the seed and their ids alone: a smaller count takes a part of
    a larger, whatever the other components are.
    """
    drawn = [
        Drawn(component=n, sample=replace(sample, id=f"{component.label}/{sample.id}"))
        for n, (component, all_of_it) in enumerate(zip(mix.components, samples, strict=True))
        for sample in _draw(mix, component, all_of_it)
    ]
    # Drawn anew, or else what is in a small part of its component would come early.
    return tuple(sorted(drawn, key=lambda each: _lot(mix.seed, "order", each.sample.id)))


def _draw(mix: Mix, component: Component, samples: Sequence[Sample]) -> Sequence[Sample]:
    if component.count == "all":
        return samples
    if component.count > len(samples):
        raise DataError(
            f"the mix {mix.name!r} takes {component.count:,} samples of {component.label!r}, which "
            f'has {len(samples):,}; get all of its data, or write that number or "all" into a '
            "mix of your own."
        )
    lots = sorted(samples, key=lambda sample: _lot(mix.seed, component.label, sample.id))
    return lots[: component.count]


def _lot(*parts: object) -> bytes:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).digest()


def _component(path: Path, label: str, count: object) -> Component:
    if count != "all" and (type(count) is not int or count < 1):
        raise DataError(
            f"{label!r} of the components in {str(path)!r} is {count!r}; it must be how many "
            'samples to take, 1 or more, or "all".'
        )
    return Component(label=label, task=TaskSpec.parse(label), count=count)


def _check_keys(path: Path, text: Mapping[str, Any]) -> None:
    for key in REQUIRED:
        if key not in text:
            raise DataError(f"{str(path)!r} lacks {key!r}: {KEYS[key][1]}.")
    for key, value in text.items():
        if key not in KEYS:
            raise DataError(
                f"{str(path)!r} has an unknown key {key!r}; it may have: {', '.join(KEYS)}."
            )
        kind, meaning = KEYS[key]
        if type(value) is not kind or value == {}:
            raise DataError(f"{key!r} in {str(path)!r} is {value!r}; it must be {meaning}.")

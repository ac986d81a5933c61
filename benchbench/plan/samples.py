"""Samples of tasks and mixes, read, checked and drawn."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchbench.contract.mix import Component, Mix
from benchbench.contract.task import Protocol, Sample, Task
from benchbench.data.find import digest_samples, find_data
from benchbench.errors import BadParameter, BenchbenchError, DataError, described, telling
from benchbench.records.record import PluginOrigin
from benchbench.registry.registry import Registry
from benchbench.specs import DataSpec, Split, TaskSpec


@dataclass(frozen=True, kw_only=True)
class TaskSplit:
    """One split of a task, read."""

    task: Task
    spec: TaskSpec
    protocol: Protocol
    samples: tuple[Sample, ...]
    data: DataSpec
    origin: PluginOrigin
    """Where the task came from."""

    @property
    def metric(self) -> str:
        """The primary metric."""
        return self.protocol.metric or self.task.metric

    def scored(
        self, sample: Sample, texts: Sequence[str], choices: Sequence[float] = ()
    ) -> tuple[list[str], dict[str, float]]:
        """Return the answers within outputs, and a sample's scores; none where a judge compares.

        ``choices`` are the log-probabilities of a ranked sample's. Raises ValueError where the
        scores are not what the task promises, and whatever the task raises.
        """
        if self.task.ranked:
            return [], _checked(self.task.score_choices(sample, choices), self.metric)
        answers = [self.task.extract(text) for text in texts]
        if self.task.judged:
            return answers, {}
        return answers, _checked(self.task.score(sample, answers), self.metric)


def _checked(scores: Mapping[str, float], primary: str) -> dict[str, float]:
    """Return scores as plain numbers; ValueError where one is out of [0, 1] or none is primary."""
    found = {name: float(value) for name, value in scores.items()}
    if primary not in found:
        raise ValueError(f"there is no {primary!r} among its scores: {', '.join(found) or 'none'}")
    for name, value in found.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}; a score lies in [0, 1]")
    return found


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What runs are trained on: the samples of a task, or of the tasks of a mix."""

    spec: TaskSpec
    data: DataSpec
    samples: tuple[tuple[TaskSplit, Sample], ...]
    """Each with the split whose task and protocol render it."""
    validation: TaskSplit | None = None
    """What checkpoints are chosen by, where the task holds samples out for that."""


def read_training(registry: Registry, named: TaskSpec | Mix, data_root: Path | None) -> TrainingSet:
    """Read what is to be trained on; raises DataError for whatever is wrong with it."""
    if isinstance(named, TaskSpec):
        split, validation = read_split(registry, named, data_root), None
        if "validation" in split.task.splits and not split.task.judged:
            validation = _read(registry, replace(named, split="validation"), data_root)
        return TrainingSet(
            spec=split.spec,
            data=split.data,
            samples=tuple((split, sample) for sample in split.samples),
            validation=validation,
        )
    splits = []
    for component in named.components:
        try:
            spec = registry.resolve_task(replace(component.task, split="train"))
            splits.append(read_split(registry, spec, data_root))
        except BenchbenchError as error:
            raise DataError(
                f"component {component.label!r} of mix {named.name!r}: {str(error).rstrip('.')}; a "
                "mix is made of tasks that can be trained on."
            ) from error
    drawn = draw(named, [split.samples for split in splits])
    sample_data = any(split.data.source == "sample" for split in splits)
    return TrainingSet(
        spec=named.spec([split.spec for split in splits]),
        data=DataSpec(
            source="sample" if sample_data else splits[0].data.source,
            digest=digest_samples(sample for _, sample in drawn),
        ),
        samples=tuple((splits[component], sample) for component, sample in drawn),
    )


def read_split(registry: Registry, spec: TaskSpec, data_root: Path | None) -> TaskSplit:
    """Read the split that a resolved spec names; raises DataError for whatever is wrong with it."""
    task = registry.task(spec)
    if spec.split not in task.splits:
        wanted = "--train-on a task to train on" if spec.split == "train" else "--tasks one of them"
        raise BadParameter(
            f"task {spec.name!r} has no {spec.split} split, only {', '.join(task.splits)}; name "
            f"with {wanted}."
        )
    split = _read(registry, spec, data_root)
    if split is None:
        raise DataError(
            f"the {spec.split} split of {spec.name!r} is empty; check the data set's split files, "
            "and the task's parameters."
        )
    return split


def _read(registry: Registry, spec: TaskSpec, data_root: Path | None) -> TaskSplit | None:
    """Read a split; None where it is empty."""
    task = registry.task(spec)
    data = find_data(task, data_root)
    protocol = registry.protocol(spec)
    what = f"the {spec.split} split of {spec.name!r} in {str(data.folder)!r}"
    advice = "check the data set, or the task's plugin."
    with telling(lambda e: DataError(f"{what} cannot be read ({described(e)}); {advice}")):
        samples = tuple(task.samples(spec.split, data))
        if spec.split == "test":
            samples = tuple(task.select(samples, protocol))
    if not samples:
        return None
    _check_samples(task, samples)
    return TaskSplit(
        task=task,
        spec=spec,
        protocol=protocol,
        samples=samples,
        data=DataSpec(source=data.source, digest=digest_samples(samples)),
        origin=registry.origins["task", spec.name],
    )


def _check_samples(task: Task, samples: tuple[Sample, ...]) -> None:
    """Refuse what would lose answers or fail only after they were generated."""
    known: set[str] = set()
    for sample in samples:
        if sample.id in known:
            raise DataError(f"task {task.name!r} has two samples {sample.id!r}; ids must differ.")
        known.add(sample.id)
        no_target = not sample.targets and not task.judged and "test" in task.splits
        no_choice = task.ranked and len(sample.choices) < 2
        if no_target or no_choice or sample.groups.keys() != samples[0].groups.keys():
            raise DataError(
                f"sample {sample.id!r} of task {task.name!r} has no reference, no choices to rank, "
                "or other kinds of groups than the first; every sample needs what its task scores."
            )
    if task.cluster and task.cluster not in samples[0].groups:
        raise DataError(
            f"task {task.name!r} clusters its samples by {task.cluster!r}, which is none of their "
            f"groups: {', '.join(samples[0].groups) or 'none'}."
        )


def draw(mix: Mix, samples: Sequence[Sequence[Sample]]) -> list[tuple[int, Sample]]:
    """Draw a mix from its components' training samples, given in the order of its components.

    Each comes with the number of its component, whose task and protocol render it; its id begins
    with the component's label.
    Which samples are drawn depends on the seed and their ids alone: a smaller count takes a part of
    a larger, whatever the other components are.
    """
    drawn = [
        (n, replace(sample, id=f"{component.label}/{sample.id}"))
        for n, (component, all_of_it) in enumerate(zip(mix.components, samples, strict=True))
        for sample in _draw(mix, component, all_of_it)
    ]
    # Drawn anew, or else what is in a small part of its component would come early.
    return sorted(drawn, key=lambda each: _lot(mix.seed, "order", each[1].id))


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


def read_contents(spec: TaskSpec, registry: Registry, root: Path | None) -> dict[Split, TaskSplit]:
    """Read what a task's data set holds; raises DataError for whatever is wrong with it."""
    # The others are drawn from these by the task's parameters.
    splits: list[Split] = [s for s in registry.task(spec).splits if s in ("train", "test")]
    specs = {split: registry.resolve_task(replace(spec, split=split)) for split in splits}
    return {split: read_split(registry, each, root) for split, each in specs.items()}

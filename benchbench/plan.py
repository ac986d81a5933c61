"""What a request comes to: every default filled in, every sample read, nothing run yet."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from benchbench.contract.method import Method
from benchbench.contract.mix import Component, Mix, find_mix
from benchbench.contract.task import Protocol, Sample, Task
from benchbench.data.find import digest_samples, find_data
from benchbench.errors import BadParameter, BenchbenchError, DataError, UnknownName, described
from benchbench.models.find import FoundModel, find_model
from benchbench.registry.registry import Registry
from benchbench.specs import (
    DataSpec,
    MethodSpec,
    Precision,
    Profile,
    RunSpec,
    Split,
    TaskSpec,
    TrainSpec,
    ValidationSpec,
    canonical,
    labels,
    typed,
)

SETTABLE = tuple(f.name for f in fields(TrainSpec) if f.name not in ("task", "data", "validation"))
"""What ``--set`` may change."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What was asked for: by flags, or by a board."""

    model: str = "nano"
    methods: tuple[MethodSpec, ...]
    tasks: tuple[TaskSpec, ...]
    train_on: str = ""
    """A task, a mix, or a mix's file; empty: the first of the tasks that can be trained on."""
    seeds: tuple[int, ...] = (42,)
    train: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the defaults of TrainSpec."""


@dataclass(frozen=True, kw_only=True)
class TaskSplit:
    """One split of a task, read."""

    task: Task
    spec: TaskSpec
    protocol: Protocol
    samples: tuple[Sample, ...]
    data: DataSpec

    @property
    def metric(self) -> str:
        """The primary metric."""
        return self.protocol.metric or self.task.metric


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What runs are trained on: the samples of a task, or of the tasks of a mix."""

    spec: TaskSpec
    data: DataSpec
    samples: tuple[tuple[TaskSplit, Sample], ...]
    """Each with the split whose task and protocol render it."""
    validation: TaskSplit | None = None
    """What checkpoints are chosen by, where the task holds samples out for that."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All runs and all tasks of a request."""

    model: FoundModel
    runs: tuple[RunSpec, ...]
    training: TrainingSet | None
    """None where nothing is trained."""
    tests: tuple[TaskSplit, ...]


def make_plan(grid: Grid, registry: Registry, data_root: Path | None, precision: Precision) -> Plan:
    """Resolve a request; raises a BenchbenchError for whatever is wrong with it."""
    # Cheap checks first: a misspelt name should not wait for a model or a data set.
    if not grid.tasks:
        raise BadParameter("no task is given; name one, such as --tasks super-ni.")
    named_tasks = [spec for named in grid.tasks for spec in registry.expand_task(named)]
    for spec in named_tasks:
        registry.resolve_task(spec)
    methods = [(registry.method(spec), spec) for spec in _with_base(grid.methods, registry)]
    named_training = None
    if grid.train_on or any(method.role != "base" for method, _ in methods):
        named_training = _training_named(grid.train_on, named_tasks, registry)
    resolved = [registry.resolve_task(_as_trained(spec, named_training)) for spec in named_tasks]
    tests = {canonical(spec): spec for spec in resolved}
    settings = _train_settings(grid.train)
    model = find_model(grid.model, registry.models)
    training = read_training(registry, named_training, data_root) if named_training else None
    train = _train_spec(training, settings) if training else None
    runs = [
        RunSpec(model=model.spec, method=method, train=training_, precision=precision, seed=seed)
        for named, spec in methods
        for method, training_, seed in _entries(named, spec, grid, registry, model, train)
    ]
    return Plan(
        model=model,
        runs=tuple({run.id: run for run in runs}.values()),
        training=training,
        tests=tuple(read_split(registry, spec, data_root) for spec in tests.values()),
    )


def _as_trained(spec: TaskSpec, training: TaskSpec | Mix | None) -> TaskSpec:
    """Return a task of which what was trained on is scored, as it was trained on."""
    if spec.split not in ("in-task", "trained"):
        return spec
    if not isinstance(training, TaskSpec) or spec.name != training.name:
        raise BadParameter(
            f"{spec.label} scores what is trained on, which is "
            f"{training.name if training else 'nothing'} here; train on {spec.name} itself, or "
            "leave it out."
        )
    return replace(spec, params={**training.params, **spec.params})


def _train_spec(training: TrainingSet, settings: Mapping[str, Any]) -> TrainSpec:
    """Return how to train; what chooses the checkpoint is stated whole."""
    validation = None
    if (held_out := training.validation) is not None:
        kind = held_out.task.cluster
        validation = ValidationSpec(
            data=held_out.data,
            groups=tuple(sorted({s.groups[kind] for s in held_out.samples} if kind else ())),
            metric=held_out.metric,
        )
    return TrainSpec(task=training.spec, data=training.data, validation=validation, **settings)


def _training_named(named: str, tasks: Sequence[TaskSpec], registry: Registry) -> TaskSpec | Mix:
    """Return the task, resolved, or the mix that is to be trained on."""
    if mix := find_mix(named, registry.mixes):
        return mix
    if named:
        spec = TaskSpec.parse(named)
        if spec.name not in registry.tasks:
            raise UnknownName("task", spec.name, [*registry.tasks, *registry.mixes])
        return registry.resolve_task(replace(spec, split="train"))
    for spec in tasks:
        if "train" in registry.task(spec).splits:
            return registry.resolve_task(replace(spec, split="train"))
    raise BadParameter(
        f"{', '.join(spec.name for spec in tasks)} cannot be trained on; name with --train-on a "
        "task that can, such as super-ni (`benchbench list tasks` shows their splits)."
    )


def read_training(registry: Registry, named: TaskSpec | Mix, data_root: Path | None) -> TrainingSet:
    """Read what is to be trained on; raises DataError for whatever is wrong with it."""
    if isinstance(named, TaskSpec):
        split = read_split(registry, named, data_root)
        return TrainingSet(
            spec=split.spec,
            data=split.data,
            samples=tuple((split, sample) for sample in split.samples),
            validation=_read_validation(registry, named, data_root),
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
            digest=digest_samples(each.sample for each in drawn),
        ),
        samples=tuple((splits[each.component], each.sample) for each in drawn),
    )


def _read_validation(
    registry: Registry, training: TaskSpec, data_root: Path | None
) -> TaskSplit | None:
    """Read what a task holds out from its training; None where that is nothing."""
    task = registry.task(training)
    if "validation" not in task.splits or task.judged:
        return None
    return _read(registry, replace(training, split="validation"), data_root)


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
    try:
        samples = tuple(task.samples(spec.split, data))
        if spec.split == "test":
            samples = tuple(task.select(samples, protocol))
    except BenchbenchError:
        raise
    except Exception as error:  # a stranger's task may raise anything
        raise DataError(
            f"the {spec.split} split of {spec.name!r} in {str(data.folder)!r} cannot be read "
            f"({described(error)}); check the data set, or the task's plugin."
        ) from error
    if not samples:
        return None
    _check_samples(task, samples)
    return TaskSplit(
        task=task,
        spec=spec,
        protocol=protocol,
        samples=samples,
        data=DataSpec(source=data.source, digest=digest_samples(samples)),
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


def _with_base(methods: tuple[MethodSpec, ...], registry: Registry) -> list[MethodSpec]:
    """Put the untuned model first: a score means little without it."""
    named = {spec.name for spec in methods}
    bases = [n for n, cls in registry.methods.items() if cls.role == "base" and n not in named]
    return [*(MethodSpec(name=name) for name in bases), *methods]


def _entries(
    method: Method,
    spec: MethodSpec,
    grid: Grid,
    registry: Registry,
    model: FoundModel,
    train: TrainSpec | None,
) -> list[tuple[MethodSpec, TrainSpec | None, int]]:
    """Return method, training and seed of each run of one entry."""
    if method.role == "base":  # nothing is drawn and nothing is trained: one run serves all
        return [(MethodSpec(name=spec.name, version=method.version), None, 0)]
    resolved = registry.resolve_method(spec, model.learning_rate_factor)
    return [(resolved, train, seed) for seed in grid.seeds]


def _train_settings(changes: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(changes) - set(SETTABLE)):
        raise BadParameter(
            f"training has no setting {', '.join(unknown)}; it has: {', '.join(SETTABLE)}."
        )
    hints = get_type_hints(TrainSpec)
    given = {key: typed("training", key, value, hints[key]) for key, value in changes.items()}
    return {**DEFAULTS[given.get("profile", TrainSpec.profile)], **given}


DEFAULTS: Mapping[Profile, Mapping[str, Any]] = {
    "standard": {},
    "author-compat": {"max_grad_norm": 0.0},
}
"""Settings that a profile begins with, where they are not those of TrainSpec."""


def run_labels(plan: Plan) -> dict[str, str]:
    """Name the runs of a plan, by id, as shortly as tells them apart."""
    named = labels([spec.method for spec in plan.runs])
    return {
        spec.id: f"{name} (seed {spec.seed})" for spec, name in zip(plan.runs, named, strict=True)
    }


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A sample of a mix."""

    component: int
    """Which of the mix's components it is of: that task and its protocol render it."""
    sample: Sample
    """Its id begins with its component's label."""


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


@dataclass(frozen=True)
class Contents:
    """What a split holds for a task's default protocol."""

    samples: int
    digest: str
    """SHA-256 over the samples, as in the records of results."""


def read_contents(spec: TaskSpec, registry: Registry, root: Path | None) -> dict[Split, Contents]:
    """Read a task's samples; raises DataError for whatever is wrong with them."""
    # The others are drawn from these by the task's parameters.
    splits: list[Split] = [s for s in registry.task(spec).splits if s in ("train", "test")]
    specs = {split: registry.resolve_task(replace(spec, split=split)) for split in splits}
    found = {split: read_split(registry, each, root) for split, each in specs.items()}
    return {split: Contents(len(s.samples), s.data.digest) for split, s in found.items()}

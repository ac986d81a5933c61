"""What a request comes to: every default filled in, every sample read, nothing run yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from benchbench.contract.method import Method
from benchbench.contract.mix import Mix, find_mix
from benchbench.errors import BadParameter, UnknownName
from benchbench.models.find import FoundModel, find_model
from benchbench.plan.samples import TaskSplit, TrainingSet, read_split, read_training
from benchbench.records.record import PluginOrigin
from benchbench.registry.registry import Registry
from benchbench.specs import (
    MethodSpec,
    Precision,
    Profile,
    RunSpec,
    TaskSpec,
    TrainSpec,
    ValidationSpec,
    canonical,
    labels,
    typed,
)

SETTABLE = tuple(f.name for f in fields(TrainSpec) if f.name not in ("task", "data", "validation"))
"""What ``--set`` may change."""

PROFILES: Mapping[Profile, Mapping[str, Any]] = {
    "standard": {},
    "author-compat": {"max_grad_norm": 0.0},
}
"""Settings that a profile begins with, where they are not those of TrainSpec."""


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
class PlannedRun:
    """One run with all that its names stand for; nobody asks the registry for it again."""

    id: str
    spec: RunSpec
    label: str
    """Method and seed, as shortly as tells it from the plan's other runs."""
    method: Method
    origin: PluginOrigin
    """Where the method came from."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All runs and all tasks of a request."""

    model: FoundModel
    runs: tuple[PlannedRun, ...]
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
    specs = []
    for method, asked in methods:
        trained, seeds = train, grid.seeds
        if method.role == "base":  # nothing is drawn and nothing is trained: one run serves all
            trained, seeds = None, (0,)
            entry = MethodSpec(name=asked.name, version=method.version)
        else:
            entry = registry.resolve_method(asked, model.learning_rate_factor)
        specs += [
            RunSpec(model=model.spec, method=entry, train=trained, precision=precision, seed=seed)
            for seed in seeds
        ]
    return Plan(
        model=model,
        runs=_planned({spec.id: spec for spec in specs}, registry),
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


def _with_base(methods: tuple[MethodSpec, ...], registry: Registry) -> list[MethodSpec]:
    """Put the untuned model first: a score means little without it."""
    named = {spec.name for spec in methods}
    bases = [n for n, cls in registry.methods.items() if cls.role == "base" and n not in named]
    return [*(MethodSpec(name=name) for name in bases), *methods]


def _planned(specs: Mapping[str, RunSpec], registry: Registry) -> tuple[PlannedRun, ...]:
    names = labels([spec.method for spec in specs.values()])
    return tuple(
        PlannedRun(
            id=run_id,
            spec=spec,
            label=f"{name} (seed {spec.seed})",
            method=registry.method(spec.method),
            origin=registry.origins["method", spec.method.name],
        )
        for (run_id, spec), name in zip(specs.items(), names, strict=True)
    )


def _train_settings(changes: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(changes) - set(SETTABLE)):
        raise BadParameter(
            f"training has no setting {', '.join(unknown)}; it has: {', '.join(SETTABLE)}."
        )
    hints = get_type_hints(TrainSpec)
    given = {key: typed("training", key, value, hints[key]) for key, value in changes.items()}
    return {**PROFILES[given.get("profile", TrainSpec.profile)], **given}

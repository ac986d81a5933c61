"""What a request comes to: every default filled in, every sample read, nothing run yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from benchbench.data import digest_samples, find_data
from benchbench.errors import BadParameter, DataError
from benchbench.hub import FoundModel, find_model
from benchbench.method import Method
from benchbench.registry import Registry, typed
from benchbench.specs import DataSpec, MethodSpec, Precision, RunSpec, TaskSpec, TrainSpec
from benchbench.task import Protocol, Sample, Split, Task

SETTABLE = tuple(f.name for f in fields(TrainSpec) if f.name not in ("task", "data", "precision"))
"""What ``--set`` may change."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What was asked for: by flags, or by a board."""

    model: str = "nano"
    methods: tuple[MethodSpec, ...]
    tasks: tuple[TaskSpec, ...]
    train_on: TaskSpec | None = None
    """None: the first of the tasks."""
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


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All runs and all tasks of a request."""

    model: FoundModel
    runs: tuple[RunSpec, ...]
    training: TaskSplit
    tests: tuple[TaskSplit, ...]


def make_plan(grid: Grid, registry: Registry, data_root: Path | None, precision: Precision) -> Plan:
    """Resolve a request; raises a BenchbenchError for whatever is wrong with it."""
    # Cheap checks first: a misspelt name should not wait for a model or a data set.
    train_task = registry.resolve_task(grid.train_on or grid.tasks[0])
    tests = [registry.resolve_task(spec) for spec in grid.tasks]
    methods = [(registry.method(spec), spec) for spec in _with_base(grid.methods, registry)]
    settings = _train_settings(grid.train)
    model = find_model(grid.model, registry.models)
    training = read_split(registry, train_task, "train", data_root)
    train = TrainSpec(task=training.spec, data=training.data, precision=precision, **settings)
    runs = [
        run for method, spec in methods for run in _runs(method, spec, grid, registry, model, train)
    ]
    return Plan(
        model=model,
        runs=tuple({run.id: run for run in runs}.values()),
        training=training,
        tests=tuple(read_split(registry, spec, "test", data_root) for spec in tests),
    )


def read_split(
    registry: Registry, spec: TaskSpec, split: Split, data_root: Path | None
) -> TaskSplit:
    """Read one split of a resolved task."""
    task = registry.task(spec)
    data = find_data(task, data_root)
    samples = tuple(task.samples(split, data))
    if not samples:
        raise DataError(
            f"the {split} split of {spec.name!r} in {str(data.folder)!r} is empty; "
            "check the data set's split files."
        )
    return TaskSplit(
        task=task,
        spec=spec,
        protocol=registry.protocol(spec),
        samples=samples,
        data=DataSpec(source=data.source, digest=digest_samples(samples)),
    )


def _with_base(methods: tuple[MethodSpec, ...], registry: Registry) -> list[MethodSpec]:
    """Put the untuned model first: a score means little without it."""
    named = {spec.name for spec in methods}
    bases = [n for n, cls in registry.methods.items() if cls.role == "base" and n not in named]
    return [*(MethodSpec(name=name) for name in bases), *methods]


def _runs(
    method: Method,
    spec: MethodSpec,
    grid: Grid,
    registry: Registry,
    model: FoundModel,
    train: TrainSpec,
) -> list[RunSpec]:
    if method.role == "base":  # nothing is drawn and nothing is trained: one run serves all
        return [RunSpec(model=model.spec, method=MethodSpec(name=spec.name), train=None, seed=0)]
    resolved = registry.resolve_method(spec, model.learning_rate_factor)
    return [
        RunSpec(model=model.spec, method=resolved, train=train, seed=seed) for seed in grid.seeds
    ]


def _train_settings(changes: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(changes) - set(SETTABLE)):
        raise BadParameter(
            f"training has no setting {', '.join(unknown)}; it has: {', '.join(SETTABLE)}."
        )
    hints = get_type_hints(TrainSpec)
    return {key: typed("training", key, value, hints[key]) for key, value in changes.items()}

"""Toy objects for tests: everything in memory, nothing trained, nothing served."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pluggy

from benchbench import (
    Data,
    Generation,
    Method,
    MethodSpec,
    Model,
    ModelSpec,
    Protocol,
    RunSpec,
    Sample,
    Task,
    TaskSpec,
    TrainSpec,
    hookimpl,
)
from benchbench.contract import hookspecs
from benchbench.engines.choice import EngineKind
from benchbench.engines.engine import Completion, Request
from benchbench.errors import CheckpointError
from benchbench.records.record import (
    Artefact,
    Checkpoint,
    Cost,
    EngineSpec,
    GroupScore,
    Parity,
    PluginOrigin,
    ResultSpec,
    RunRecord,
    Score,
    TaskResult,
)
from benchbench.registry.registry import GROUP, Registry
from benchbench.specs import DataSpec

ENGINE = EngineSpec(name="toy", version="1", dtype="float32", device="cpu")
ORIGIN = PluginOrigin(plugin="toys", distribution="", version="")
MODEL = ModelSpec(name="toy", revision="sha256:0", tokenizer="0")
DATA = DataSpec(source="sample", digest="0")
TRAIN = TrainSpec(task=TaskSpec(name="echo", protocol="say"), data=DATA)


@dataclass(frozen=True, kw_only=True)
class Echo(Task):
    """Say the input again; two groups."""

    name = "echo"
    family = "toy"
    data_set = "echo"
    embedded = Path(__file__).parent
    metric = "same"
    cluster = "kind"
    protocols: ClassVar[Mapping[str, Protocol]] = {
        "say": Protocol(summary="the input", generation=Generation(max_tokens=4), form="text"),
        "loud": Protocol(summary="in capitals", generation=Generation(max_tokens=4), form="text"),
    }

    samples_each: int = 3

    def samples(self, split: str, data: Data) -> Iterable[Sample]:
        for kind in ("even", "odd"):
            for number in range(self.samples_each):
                text = f"{kind} {number}"
                yield Sample(id=text, input=text, targets=(text,), groups={"kind": kind})

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        return {"same": float(answers[0] == sample.targets[0]), "said": float(answers[0] != "")}


@dataclass(frozen=True, kw_only=True)
class Untuned(Method):
    """Nothing."""

    name = "untuned"
    role = "base"

    def adapt(self, model: Any, training: Any) -> Any:
        return model


@dataclass(frozen=True, kw_only=True)
class Whole(Method):
    """Everything."""

    name = "whole"
    role = "reference"

    def adapt(self, model: Any, training: Any) -> Any:
        return model


@dataclass(frozen=True, kw_only=True)
class Part(Method):
    """Some."""

    name = "part"

    size: int = 2

    def adapt(self, model: Any, training: Any) -> Any:
        return model


@dataclass(frozen=True, kw_only=True)
class ToyKind(EngineKind):
    """An engine that is there without being installed."""

    is_installed = True
    opens: Any = None
    """Called to open it."""

    def spec(self, precision: str) -> EngineSpec:
        return ENGINE

    def open(self, settings: Any, checkpoints: Any) -> Any:
        return self.opens(settings, checkpoints)


class Toys:
    """A plugin with all toys; its model is a folder."""

    def __init__(self, model: Path, tasks: Iterable[type[Task]]) -> None:
        self.model = model
        self.tasks = tasks

    @hookimpl
    def register_methods(self) -> Iterable[type[Method]]:
        return [Untuned, Whole, Part]

    @hookimpl
    def register_models(self) -> Iterable[Model]:
        return [Model(name="toy", path=str(self.model), learning_rate_factor=10.0)]

    @hookimpl
    def register_tasks(self) -> Iterable[type[Task]]:
        return [Echo, *self.tasks]


def registry(model: Path = Path("nowhere"), tasks: Iterable[type[Task]] = ()) -> Registry:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(Toys(model, tasks), "toys")
    return Registry.of(manager, {"toys": ORIGIN})


@dataclass
class ToyEngine:
    """Answers with what `answer` returns for a request; None is no answer."""

    answer: Any
    spec: EngineSpec = ENGINE
    requests: list[Request] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    closed: bool = False
    log: Mapping[str, list[list[float]]] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)

    def load(self, checkpoints: Sequence[Checkpoint]) -> None:
        for checkpoint in checkpoints:
            if checkpoint.run_id in self.refuses:
                raise CheckpointError(f"run {checkpoint.run_id} must not be served")
        self.loaded += [c.run_id for c in checkpoints]

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for request in reversed(requests):  # out of order, as engines do
            self.requests.append(request)
            text = self.answer(request)
            if request.choices:
                yield Completion(id=request.id, choices=tuple(text))
            elif text is not None:
                yield Completion(
                    id=request.id, texts=(text,), tokens=((1,),), finish_reasons=("stop",)
                )

    def logprobs(self, checkpoint: str, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        return self.log[checkpoint]

    def close(self) -> None:
        self.closed = True


def run_record(method: str = "part", seed: int = 1, **changes: Any) -> RunRecord:
    roles: dict[str, Any] = {"untuned": "base", "whole": "reference"}
    spec = RunSpec(
        model=MODEL,
        method=MethodSpec(name=method, params=changes.pop("params", {})),
        train=None if method == "untuned" else changes.pop("train", TRAIN),
        precision="float32",
        seed=seed,
    )
    values: dict[str, Any] = {
        "spec": spec,
        "status": "done",
        "role": roles.get(method, "candidate"),
        "origin": ORIGIN,
        "cost": Cost(total_parameters=100, trainable_parameters=10, train_seconds=5.0),
        "artefact": Artefact(route="base", sha256=f"{method}{seed}", bytes=7),
        "created": "2026-01-01T00:00:00Z",
    }
    return RunRecord(**(values | changes))


PARITY = Parity(tokens=9, max_difference=1e-6, effect=1.0, tolerance=1e-3, passed=True)


def result(run: RunRecord, *means: float, n: int = 4, **changes: Any) -> TaskResult:
    """Return a result whose groups g0, g1, … have these means."""
    assert run.artefact is not None
    groups = {f"g{i}": GroupScore(n=n, means={"same": mean}) for i, mean in enumerate(means)}
    value = sum(means) / len(means)
    values: dict[str, Any] = {
        "run": run.spec,
        "spec": ResultSpec(
            task=TaskSpec(name="echo", protocol="say", version=1),
            data=DATA,
            engine=ENGINE,
            checkpoint=run.artefact.sha256,
        ),
        "origin": ORIGIN,
        "metric": "same",
        "cluster": "kind",
        "scores": (
            Score(metric="same", mean="micro", value=value, low=0.0, high=1.0, n=n * len(means)),
        ),
        "groups": {"kind": groups},
        "n": n * len(means),
        "n_missing": 0,
        "n_truncated": 0,
        "parity": PARITY,
        "samples_sha256": "0",
        "seconds": 1.0,
        "created": "2026-01-01T00:00:00Z",
    }
    return TaskResult(**(values | changes))

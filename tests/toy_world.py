"""A world that stands in for training and serving, and requests to march through it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchbench import MethodSpec, TaskSpec
from benchbench.checkpoints.parity import Reference
from benchbench.engines.engine import Request
from benchbench.errors import CheckpointOverflow
from benchbench.plan.plan import Grid
from benchbench.records.record import Artefact, Cost
from benchbench.records.store import Store, hash_folder
from benchbench.run.march import run
from benchbench.run.request import Report, RunRequest
from benchbench.train.job import Outcome, TrainJob
from tests import toys
from tests.toys import ENGINE, ToyEngine

LOGS = {"base": [[-1.0, -2.0]], "trained": [[-0.5, -1.5]]}


@dataclass
class Says:
    """A reporter that keeps what it was told."""

    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Callable[[int, int, str], None]]:
        yield lambda done, total, note: None


@dataclass
class World:
    """Stands in for training and serving, and counts what was asked of it."""

    trained: list[str] = field(default_factory=list)
    fails: set[str] = field(default_factory=set)
    served: dict[str, list[list[float]]] = field(default_factory=dict)
    engines: list[ToyEngine] = field(default_factory=list)
    parity: bool = True
    killed: bool = False
    refuses: set[str] = field(default_factory=set)
    overflows: set[str] = field(default_factory=set)
    routes: dict[str, str] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)

    def train(self, job: TrainJob, progress: Any) -> Outcome:
        method = job.spec.method.name
        self.trained.append(f"{method} {job.spec.seed}")
        if self.killed and method == "part":
            return Outcome(run_id=job.spec.id, status="failed", reason="SIGKILL", killed=True)
        if method in self.fails:
            return Outcome(
                run_id=job.spec.id,
                status="out_of_memory",
                reason="needs 9 GB",
                cost=None,
                artefact=None,
                environment={},
            )
        checkpoint = job.folder / "checkpoint"
        checkpoint.mkdir(parents=True)
        (checkpoint / "weights").write_text(job.spec.id)
        base = job.spec.train is None
        trained = LOGS["base" if base else "trained"]
        Reference(prompts=[[1, 2, 3]], base=LOGS["base"], trained=trained).write(
            job.folder / "parity.json"
        )
        self.served[job.spec.id] = trained if self.parity else LOGS["base"]
        return Outcome(
            run_id=job.spec.id,
            status="done",
            reason="",
            cost=Cost(total_parameters=10, trainable_parameters=0 if base else 3),
            artefact=Artefact(
                route="base" if base else self.routes.get(method, "lora"),
                sha256=hash_folder(checkpoint),
                bytes=3,
            ),
            environment={},
        )

    def open_engine(self, name: str, settings: Any, checkpoints: Any) -> ToyEngine:
        engine = ToyEngine(self.answer, log=self.served, refuses=self.refuses)
        self.engines.append(engine)
        self.opened.append(name)
        return engine

    def answer(self, request: Request) -> str:
        if request.checkpoint in self.overflows:
            raise CheckpointOverflow(request.checkpoint, f"run {request.checkpoint} overflows")
        return "no"

    @property
    def requests(self) -> list[Request]:
        return [request for engine in self.engines for request in engine.requests]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr("benchbench.train.missing.train.train", found.train)
    monkeypatch.setattr("benchbench.evaluate.serving.open_engine", found.open_engine)
    for module in ("run", "preview"):
        monkeypatch.setattr(f"benchbench.{module}.choose_engine", lambda *_: ("toy", "a toy"))
        monkeypatch.setattr(f"benchbench.{module}.engine_spec", lambda *_: ENGINE)
    return found


@pytest.fixture
def request_(tiny_model: Path, tmp_path: Path) -> RunRequest:
    grid = Grid(
        model="toy",
        methods=(MethodSpec(name="part"), MethodSpec(name="whole")),
        tasks=(TaskSpec(name="echo"),),
        seeds=(1, 2),
    )
    return RunRequest(grid=grid, store=Store(tmp_path / "runs"))


def march(request: RunRequest, tiny_model: Path, reporter: Says | None = None) -> Report:
    return run(request, toys.registry(tiny_model), reporter or Says())

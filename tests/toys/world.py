"""A world that stands in for training and serving, and requests to march through it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchbench import MethodSpec, TaskSpec
from benchbench.checkpoints.parity import Reference
from benchbench.engines.choice import ENGINES, VLLM
from benchbench.engines.engine import Request
from benchbench.errors import CheckpointOverflow, TrainingStopped
from benchbench.evaluate.jobs import Job
from benchbench.evaluate.serving import Served, serve
from benchbench.plan.plan import Grid
from benchbench.records.record import Artefact, Cost, RunRecord
from benchbench.records.store import Store, hash_folder
from benchbench.reporter import Reporter
from benchbench.run.march import run
from benchbench.run.request import Report, RunRequest
from benchbench.train.job import TrainJob
from tests import toys
from tests.toys import ENGINE, ToyEngine, ToyKind

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

    def train(self, job: TrainJob, progress: Any) -> RunRecord:
        method = job.spec.method.name
        self.trained.append(f"{method} {job.spec.seed}")
        if self.killed and method == "part":
            raise TrainingStopped("SIGKILL")
        if method in self.fails:
            return job.record("out_of_memory", "needs 9 GB", environment={})
        job.checkpoint.mkdir(parents=True)
        (job.checkpoint / "weights").write_text(job.spec.id)
        base = job.spec.train is None
        trained = LOGS["base" if base else "trained"]
        Reference(prompts=[[1, 2, 3]], base=LOGS["base"], trained=trained).write(job.reference)
        self.served[job.spec.id] = trained if self.parity else LOGS["base"]
        return job.record(
            "done",
            environment={},
            cost=Cost(total_parameters=10, trainable_parameters=0 if base else 3),
            artefact=Artefact(
                route="base" if base else self.routes.get(method, "lora"),
                sha256=hash_folder(job.checkpoint),
                bytes=3,
            ),
        )

    def serve(self, jobs: Sequence[Job], store: Store, reporter: Reporter) -> Served:
        return serve(jobs, store, reporter, self.open_engine)

    def march(
        self, request: RunRequest, tiny_model: Path, reporter: Reporter | None = None
    ) -> Report:
        return run(request, toys.registry(tiny_model), self, reporter or Says())

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
    toy = ToyKind(
        name=ENGINE.name,
        distributions=(),
        extra="",
        routes=VLLM.routes,
        place="",
        opens=partial(found.open_engine, ENGINE.name),
    )
    monkeypatch.setattr("benchbench.engines.choice.ENGINES", (toy, *ENGINES))
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

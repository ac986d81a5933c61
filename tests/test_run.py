import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from benchbench import MethodSpec, TaskSpec
from benchbench.engines import Request
from benchbench.engines.parity import Reference
from benchbench.errors import CheckpointOverflow, StoreError
from benchbench.leaderboard import tables
from benchbench.plan import Grid
from benchbench.preview import preview
from benchbench.record import Artefact, Cost
from benchbench.run import Report, RunRequest, run
from benchbench.store import Store, hash_folder
from benchbench.train import Outcome, TrainJob
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
    monkeypatch.setattr("benchbench.run.train.train", found.train)
    monkeypatch.setattr("benchbench.serving.open_engine", found.open_engine)
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


def test_what_one_engine_does_not_serve_another_does(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.routes["part"] = "transformers"
    report = march(request_, tiny_model)
    assert report.ok
    assert world.opened == ["toy", "transformers"]
    asked = [{request.checkpoint for request in engine.requests} for engine in world.engines]
    assert [len(runs) for runs in asked] == [3, 2] and not asked[0] & asked[1]
    assert {(r.route, r.spec.engine.name) for r in report.results} == {
        ("base", "toy"), ("lora", "toy"), ("transformers", "transformers")
    }  # fmt: skip
    assert march(request_, tiny_model).ok
    assert len(world.engines) == 2  # nothing is done twice
    tables(report.runs, report.results)  # they may stand in one table


def test_variants_of_a_method_are_told_apart(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    variants = tuple(MethodSpec(name="part", params={"size": size}) for size in (3, 4))
    world.fails = {"part"}
    says = Says()
    grid = replace(request_.grid, methods=variants, seeds=(1,))
    march(replace(request_, grid=grid), tiny_model, says)
    failed = [line for line in says.lines if "out_of_memory" in line]
    assert [line.split(":")[0] for line in failed] == [
        "part size=3 (seed 1)",
        "part size=4 (seed 1)",
    ]


def test_all_is_trained_and_scored_once(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    report = march(request_, tiny_model)
    assert world.trained == ["untuned 0", "part 1", "part 2", "whole 1", "whole 2"]
    assert len(report.results) == 5
    assert report.ok
    assert len(world.engines) == 1 and world.engines[0].closed
    assert len(world.requests) == 5 * 6

    again = march(request_, tiny_model)
    assert len(world.trained) == 5
    assert len(world.engines) == 1
    assert again.results == report.results


def test_a_new_task_uses_the_checkpoints_there_are(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    march(request_, tiny_model)
    tasks = (TaskSpec(name="echo"), TaskSpec(name="echo", protocol="loud"))
    more = replace(request_, grid=replace(request_.grid, tasks=tasks))
    report = march(more, tiny_model)
    assert len(world.trained) == 5
    assert len(report.results) == 10
    assert len(world.requests) == 10 * 6


def test_a_failure_is_a_record_and_is_not_tried_again_unasked(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.fails = {"part"}
    report = march(request_, tiny_model)
    assert [r.status for r in report.runs].count("out_of_memory") == 2
    assert len(report.results) == 3 and not report.ok
    march(request_, tiny_model)
    assert world.trained.count("part 1") == 1

    world.fails = set()
    report = march(replace(request_, retry_failed=True), tiny_model)
    assert world.trained.count("part 1") == 2
    assert report.ok and len(report.results) == 5


def test_what_is_not_served_as_trained_is_not_publishable(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.parity = False
    reporter = Says()
    report = march(request_, tiny_model, reporter)
    assert not report.ok
    published = {r.run.method.name: r.publishable for r in report.results}
    assert published == {"untuned": True, "part": False, "whole": False}
    assert any("not publishable" in line for line in reporter.lines)


def test_an_unpublishable_result_can_be_tried_again(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.parity = False
    march(request_, tiny_model)
    for run_id, rows in world.served.items():
        if rows != LOGS["trained"] and len(world.trained) > 1:
            world.served[run_id] = LOGS["trained"]
    assert not march(request_, tiny_model).ok
    report = march(replace(request_, retry_failed=True), tiny_model)
    assert len(world.trained) == 5  # the checkpoints were fine
    assert {r.publishable for r in report.results if r.run.train} == {True}


def test_a_checkpoint_that_is_refused_does_not_stop_the_others(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    plan = march(request_, tiny_model).plan
    bad, overflowing = (spec.id for spec in plan.runs if spec.method.name == "part")
    world.refuses, world.overflows = {bad}, {overflowing}
    fresh = replace(request_, store=Store(request_.store.folder.parent / "fresh"))
    report = march(fresh, tiny_model)
    assert set(report.refused) == {bad, overflowing}
    assert {r.run.method.name for r in report.results} == {"untuned", "whole"}
    assert len(report.results) == 3 and not report.ok
    assert world.engines[-1].closed


def test_a_training_that_was_killed_leaves_no_record_and_goes_on(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.killed = True
    report = march(request_, tiny_model)
    assert not report.ok and len(report.killed) == 4
    assert request_.store.run(report.killed[0].id) is None
    world.killed = False
    report = march(request_, tiny_model)
    assert report.ok and len(report.results) == 5


def test_a_task_named_twice_is_evaluated_once(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    tasks = (TaskSpec(name="echo"), TaskSpec(name="echo", protocol="say"))
    report = march(replace(request_, grid=replace(request_.grid, tasks=tasks)), tiny_model)
    assert len(report.results) == 5


def test_one_task_with_two_parameters_has_two_results(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    tasks = tuple(TaskSpec(name="echo", params={"samples_each": n}) for n in (2, 3))
    report = march(replace(request_, grid=replace(request_.grid, tasks=tasks)), tiny_model)
    assert sorted(r.n for r in report.results) == [4] * 5 + [6] * 5


def test_a_damaged_checkpoint_is_named_and_the_others_are_served(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    report = march(request_, tiny_model)
    victims = [r.run_id for r in report.runs if r.spec.method.name == "part"]
    for result in report.results:
        shutil.rmtree(request_.store.result_folder(result.run_id, result.spec))
    for run_id in victims:
        (request_.store.run_folder(run_id) / "checkpoint" / "weights").write_text("other")
    again = march(request_, tiny_model)
    assert sorted(again.refused) == sorted(victims) and not again.ok
    assert all("not the one that was trained" in why for why in again.refused.values())
    assert {r.run_id for r in again.results} == {r.run_id for r in report.runs} - set(victims)


def test_a_broken_record_is_told_before_the_work(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    broken = request_.store.folder / "0123456789ab"
    broken.mkdir(parents=True)
    (broken / "run.json").write_text("{")
    with pytest.raises(StoreError, match=r"run\.json"):
        march(request_, tiny_model)
    assert world.trained == []


def test_the_base_alone_is_compared_with_nothing(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    march(request_, tiny_model)
    grid = replace(request_.grid, methods=(MethodSpec(name="untuned"),))
    assert march(replace(request_, grid=grid), tiny_model).neighbours == ()


def test_the_reference_in_the_store_joins_the_table(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    march(request_, tiny_model)
    alone = replace(request_, grid=replace(request_.grid, methods=(MethodSpec(name="part"),)))
    report = march(alone, tiny_model)
    assert {r.role for r, _ in report.neighbours} == {"reference"}
    assert len(report.neighbours) == 2

    other = replace(alone, grid=replace(alone.grid, train={"epochs": 1}))
    assert march(other, tiny_model).neighbours == ()


def test_the_sample_is_announced(world: World, request_: RunRequest, tiny_model: Path) -> None:
    reporter = Says()
    march(request_, tiny_model, reporter)
    assert any(line.startswith("data: sample") for line in reporter.lines)


def test_a_preview_tells_what_is_to_do_and_writes_nothing(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    rows = preview(request_, toys.registry(tiny_model))
    assert [row["train"] for row in rows] == ["to do"] * 5
    assert all(row["requests"] == 6 and row["prompt_tokens"] > 6 for row in rows)
    assert json.dumps(rows)
    assert not request_.store.folder.exists()

    world.fails = {"part"}
    march(request_, tiny_model)
    rows = preview(request_, toys.registry(tiny_model))
    states = {(row["method"], row["train"], row["evaluate"]) for row in rows}
    assert states == {
        ("untuned", "in store", "in store"),
        ("part", "out_of_memory", "not possible"),
        ("whole", "in store", "in store"),
    }


def test_another_engine_is_another_result(
    world: World,
    request_: RunRequest,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    march(request_, tiny_model)
    other = replace(ENGINE, version="2")
    monkeypatch.setattr("benchbench.preview.engine_spec", lambda name, precision: other)
    rows = preview(request_, toys.registry(tiny_model))
    assert {(row["train"], row["evaluate"]) for row in rows} == {("in store", "to do")}


def test_no_temporary_file_stays(world: World, request_: RunRequest, tiny_model: Path) -> None:
    march(request_, tiny_model)
    left = [p.name for p in request_.store.folder.iterdir() if p.name.startswith(".")]
    assert left == [".lock"]

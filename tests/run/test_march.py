"""A run from its request to its report: what is trained and scored, and what the store has."""

from dataclasses import replace
from pathlib import Path

from benchbench import MethodSpec, TaskSpec
from benchbench.boards.rank import tables
from benchbench.run.request import RunRequest
from tests.toys.world import Says, World, request_, world

__all__ = ["request_", "world"]


def test_what_one_engine_does_not_serve_another_does(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.routes["part"] = "transformers"
    report = world.march(request_, tiny_model)
    assert report.ok
    assert world.opened == ["toy", "transformers"]
    asked = [{request.checkpoint for request in engine.requests} for engine in world.engines]
    assert [len(runs) for runs in asked] == [3, 2] and not asked[0] & asked[1]
    assert {(r.route, r.spec.engine.name) for r in report.results} == {
        ("base", "toy"), ("lora", "toy"), ("transformers", "transformers")
    }  # fmt: skip
    assert world.march(request_, tiny_model).ok
    assert len(world.engines) == 2  # nothing is done twice
    tables(report.runs, report.results)  # they may stand in one table


def test_all_is_trained_and_scored_once(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    report = world.march(request_, tiny_model)
    assert world.trained == ["untuned 0", "part 1", "part 2", "whole 1", "whole 2"]
    assert len(report.results) == 5
    assert report.ok
    assert len(world.engines) == 1 and world.engines[0].closed
    assert len(world.requests) == 5 * 6

    again = world.march(request_, tiny_model)
    assert len(world.trained) == 5
    assert len(world.engines) == 1
    assert again.results == report.results


def test_a_new_task_uses_the_checkpoints_there_are(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.march(request_, tiny_model)
    tasks = (TaskSpec(name="echo"), TaskSpec(name="echo", protocol="loud"))
    more = replace(request_, grid=replace(request_.grid, tasks=tasks))
    report = world.march(more, tiny_model)
    assert len(world.trained) == 5
    assert len(report.results) == 10
    assert len(world.requests) == 10 * 6


def test_a_task_named_twice_is_evaluated_once(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    tasks = (TaskSpec(name="echo"), TaskSpec(name="echo", protocol="say"))
    report = world.march(replace(request_, grid=replace(request_.grid, tasks=tasks)), tiny_model)
    assert len(report.results) == 5


def test_one_task_with_two_parameters_has_two_results(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    tasks = tuple(TaskSpec(name="echo", params={"samples_each": n}) for n in (2, 3))
    report = world.march(replace(request_, grid=replace(request_.grid, tasks=tasks)), tiny_model)
    assert sorted(r.n for r in report.results) == [4] * 5 + [6] * 5


def test_the_base_alone_is_compared_with_nothing(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.march(request_, tiny_model)
    grid = replace(request_.grid, methods=(MethodSpec(name="untuned"),))
    assert world.march(replace(request_, grid=grid), tiny_model).neighbours == ()


def test_the_reference_in_the_store_joins_the_table(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.march(request_, tiny_model)
    alone = replace(request_, grid=replace(request_.grid, methods=(MethodSpec(name="part"),)))
    report = world.march(alone, tiny_model)
    assert {r.role for r, _ in report.neighbours} == {"reference"}
    assert len(report.neighbours) == 2

    other = replace(alone, grid=replace(alone.grid, train={"epochs": 1}))
    assert world.march(other, tiny_model).neighbours == ()


def test_the_sample_is_announced(world: World, request_: RunRequest, tiny_model: Path) -> None:
    reporter = Says()
    world.march(request_, tiny_model, reporter)
    assert any(line.startswith("data: sample") for line in reporter.lines)


def test_no_temporary_file_stays(world: World, request_: RunRequest, tiny_model: Path) -> None:
    world.march(request_, tiny_model)
    left = [p.name for p in request_.store.folder.iterdir() if p.name.startswith(".")]
    assert sorted(left) == [".examples", ".lock"]

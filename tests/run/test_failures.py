"""What fails in a run: it is told and recorded, and the others go on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchbench import MethodSpec
from benchbench.cli.report import print_json
from benchbench.errors import StoreError
from benchbench.records.record import RunRecord
from benchbench.records.store import Store
from benchbench.run.request import RunRequest
from benchbench.train.job import TrainJob
from tests.toys.world import LOGS, Says, World, request_, world

__all__ = ["request_", "world"]


def test_a_failure_is_a_record_and_is_not_tried_again_unasked(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.fails = {"part"}
    report = world.march(request_, tiny_model)
    assert [r.status for r in report.runs].count("out_of_memory") == 2
    assert len(report.results) == 3 and not report.ok
    world.march(request_, tiny_model)
    assert world.trained.count("part 1") == 1

    world.fails = set()
    report = world.march(replace(request_, retry_failed=True), tiny_model)
    assert world.trained.count("part 1") == 2
    assert report.ok and len(report.results) == 5


def test_what_is_not_served_as_trained_is_not_publishable(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.parity = False
    reporter = Says()
    report = world.march(request_, tiny_model, reporter)
    assert not report.ok
    published = {r.run.method.name: r.publishable for r in report.results}
    assert published == {"untuned": True, "part": False, "whole": False}
    assert any("not publishable" in line for line in reporter.lines)


def test_an_unpublishable_result_can_be_tried_again(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.parity = False
    world.march(request_, tiny_model)
    for run_id, rows in world.served.items():
        if rows != LOGS["trained"] and len(world.trained) > 1:
            world.served[run_id] = LOGS["trained"]
    assert not world.march(request_, tiny_model).ok
    report = world.march(replace(request_, retry_failed=True), tiny_model)
    assert len(world.trained) == 5  # the checkpoints were fine
    assert {r.publishable for r in report.results if r.run.train} == {True}


def test_a_checkpoint_that_is_refused_does_not_stop_the_others(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    plan = world.march(request_, tiny_model).plan
    bad, overflowing = (each.id for each in plan.runs if each.spec.method.name == "part")
    world.refuses, world.overflows = {bad}, {overflowing}
    fresh = replace(request_, store=Store(request_.store.folder.parent / "fresh"))
    report = world.march(fresh, tiny_model)
    assert set(report.refused) == {bad, overflowing}
    assert {r.run.method.name for r in report.results} == {"untuned", "whole"}
    assert len(report.results) == 3 and not report.ok
    assert world.engines[-1].closed


def test_ctrl_c_in_a_training_leaves_no_record_and_the_same_command_goes_on(
    world: World, request_: RunRequest, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = world.train

    def interrupted(job: TrainJob, progress: Any) -> RunRecord:
        if world.trained[-1:] == ["part 1"]:
            checkpoint = job.work / "checkpoint-25"
            checkpoint.mkdir(parents=True)
            raise KeyboardInterrupt
        return train(job, progress)

    monkeypatch.setattr(world, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        world.march(request_, tiny_model)
    assert len(request_.store.read().runs) == 2
    (kept,) = request_.store.folder.glob("*/work/checkpoint-25")
    seen: list[bool] = []

    def goes_on(job: TrainJob, progress: Any) -> RunRecord:
        seen.append(job.work == kept.parent and kept.is_dir())
        return train(job, progress)

    monkeypatch.setattr(world, "train", goes_on)
    assert world.march(request_, tiny_model).ok
    assert world.trained == ["untuned 0", "part 1", "part 2", "whole 1", "whole 2"]
    assert seen == [True, False, False]  # what training had left by then was there to go on from


def test_a_training_that_was_killed_leaves_no_record_and_goes_on(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    world.killed = True
    report = world.march(request_, tiny_model)
    assert not report.ok and len(report.killed) == 4
    assert request_.store.run(report.killed[0].id) is None
    world.killed = False
    report = world.march(request_, tiny_model)
    assert report.ok and len(report.results) == 5


def test_a_damaged_checkpoint_is_named_and_the_others_are_served(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    report = world.march(request_, tiny_model)
    victims = [r.run_id for r in report.runs if r.spec.method.name == "part"]
    for result in report.results:
        shutil.rmtree(request_.store.result_folder(result.run_id, result.spec))
    for run_id in victims:
        (request_.store.run_folder(run_id) / "checkpoint" / "weights").write_text("other")
    again = world.march(request_, tiny_model)
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
        world.march(request_, tiny_model)
    assert world.trained == []


def test_variants_of_a_method_are_told_apart(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    variants = tuple(MethodSpec(name="part", params={"size": size}) for size in (3, 4))
    world.fails = {"part"}
    says = Says()
    grid = replace(request_.grid, methods=variants, seeds=(1,))
    world.march(replace(request_, grid=grid), tiny_model, says)
    failed = [line for line in says.lines if "out_of_memory" in line]
    assert [line.split(":")[0] for line in failed] == [
        "part size=3 (seed 1)",
        "part size=4 (seed 1)",
    ]


def test_the_rows_of_all_ends_have_the_same_keys(
    world: World, request_: RunRequest, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.fails = {"part"}
    plan = world.march(request_, tiny_model).plan
    world.refuses = {next(each.id for each in plan.runs if each.spec.method.name == "whole")}
    fresh = replace(request_, store=Store(request_.store.folder.parent / "fresh"))
    print_json(world.march(fresh, tiny_model), fresh.store)
    rows = json.loads(capsys.readouterr().out)
    found = {(row["method"], row["status"]): row for row in rows}
    failed, refused = found["part", "out_of_memory"], found["whole", "not_served"]
    assert {tuple(row) for row in rows} == {tuple(found["whole", "done"])}
    assert (failed["reason"], failed["route"]) == ("needs 9 GB", None)
    assert refused["route"] == "lora" and "must not be served" in refused["reason"]
    for row in (failed, refused):
        assert row["engine"] is row["publishable"] is row["score"] is None

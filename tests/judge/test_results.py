"""Outputs of runs under a judge: what they are compared with, and when there is a result."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchbench import MethodSpec, TaskSpec
from benchbench.boards.page import page
from benchbench.boards.rank import rank, tables
from benchbench.boards.table import columns, score_rows
from benchbench.cli.report import print_json, print_tables
from benchbench.engines.engine import Request
from benchbench.errors import BoardError, JudgeError, StoreError
from benchbench.judge.results import KEPT, judged_comparisons
from benchbench.records.record import DATA_SET, REFERENCE, STEADY, WIN_RATE, TaskResult
from benchbench.run.march import run
from benchbench.run.request import Report, RunRequest
from tests import toys
from tests.toys.judge import ToyJudge, ToyRequest, place
from tests.toys.tasks import Judged
from tests.toys.world import Says, World, request_, world

__all__ = ["request_", "world"]

WORDS = {"untuned": "a", "part": "a fine answer", "whole": "good", "whole 2": "very good"}


class Published(Judged):
    """Its data set has answers to compare with."""

    name = "published"


class Alone(Judged):
    """It has none."""

    name = "alone"

    def samples(self, split: str, data: Any) -> Iterator[Any]:
        for sample in Judged().samples(split, data):
            yield replace(sample, targets=())


def asked(request: RunRequest, task: str, *methods: str, judge: str = "toy") -> RunRequest:
    grid = replace(
        request.grid,
        methods=tuple(MethodSpec(name=name) for name in methods),
        tasks=(TaskSpec(name=task),),
        train_on="echo",
        seeds=(1,),
    )
    return replace(request, grid=grid, judge=ToyRequest(name=judge) if judge else None)


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> ToyJudge:
    found = ToyJudge()
    monkeypatch.setattr(ToyRequest, "judge", found)
    return found


@pytest.fixture
def march(world: World, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    names: dict[str, str] = {}

    def answer(request: Request) -> str:
        return WORDS[names[request.checkpoint]]

    monkeypatch.setattr(world, "answer", answer)
    registry = toys.registry(tiny_model, (Published, Alone))

    def go(request: RunRequest) -> tuple[Report, Says]:
        from benchbench.plan.plan import make_plan

        plan = make_plan(request.grid, registry, None, "float32")
        for each in plan.runs:
            second = each.spec.seed == 2 and each.spec.method.name == "whole"
            names[each.id] = each.spec.method.name + " 2" * second
        says = Says()
        return run(request, registry, world, says), says

    return go


def scored(report: Report) -> dict[str, TaskResult]:
    return {r.run.method.name: r for r in report.results if r.is_scored}


def test_outputs_are_compared_with_the_reference_methods(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    report, _ = march(asked(request_, "alone", "part", "whole"))
    found = scored(report)
    assert report.ok
    assert {name: r.primary.value for name, r in found.items()} == {
        "untuned": pytest.approx(0.1),
        "part": pytest.approx(0.9),
        "whole": 0.5,  # against itself, for which nobody is asked
    }
    for result in found.values():
        assert (result.metric, result.n) == (WIN_RATE, 2)
        assert result.spec.judge == judge.spec
        assert result.spec.opponent.startswith(f"{REFERENCE}:")
        assert result.publishable
    rows = request_.store.read_rows(found["part"].run_id, found["part"].spec)
    assert rows["sample 1"]["targets"] == ["good"]
    assert rows["sample 1"]["outputs"] == ["a fine answer"]


def test_where_the_data_set_has_answers_they_are_the_opponent(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    report, _ = march(asked(request_, "published", "part"))
    found = scored(report)
    assert found["part"].spec.opponent == DATA_SET
    assert found["part"].primary.value == pytest.approx(0.9)  # longer than "yes"


def test_the_opponent_has_the_runs_own_seed_where_there_is_one(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    request = asked(request_, "alone", "part", "whole")
    report, _ = march(replace(request, grid=replace(request.grid, seeds=(1, 2))))
    opponents = {
        (r.run.method.name, r.run.seed): request.store.read_rows(r.run_id, r.spec)["sample 0"][
            "targets"
        ]
        for r in report.results
        if r.is_scored
    }
    assert opponents["part", 1] == ["good"]
    assert opponents["part", 2] == ["very good"]
    assert opponents["untuned", 0] == ["good"]


def test_without_a_reference_there_is_a_reason_and_no_result(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    report, _ = march(asked(request_, "alone", "part"))
    assert not report.ok and scored(report) == {}
    assert all("add --method full" in why for why in report.unjudged.values())
    assert len(report.unjudged) == 2


def test_a_reference_of_an_earlier_command_will_do(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    march(asked(request_, "alone", "whole", judge=""))
    report, _ = march(asked(request_, "alone", "part"))
    assert scored(report)["part"].primary.value == pytest.approx(0.9)


def test_without_a_judge_outputs_are_kept_and_judged_later(
    march: Any, judge: ToyJudge, request_: RunRequest, world: World
) -> None:
    first, says = march(asked(request_, "alone", "part", "whole", judge=""))
    assert first.ok and scored(first) == {}
    assert any("not judged; name a judge with --judge" in line for line in says.lines)
    assert {r.output_tokens for r in first.results} == {1.0}
    generated = len(world.requests)
    second, _ = march(asked(request_, "alone", "part", "whole"))
    assert len(scored(second)) == 3
    assert len(world.requests) == generated
    questions = len(judge.asked)
    third, _ = march(asked(request_, "alone", "part", "whole"))
    assert scored(third) == scored(second)
    assert len(judge.asked) == questions


def test_a_judgement_that_is_missing_leaves_no_result_and_is_asked_for_again(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    judge.broken = lambda prompt: "a fine answer" in prompt and "sample 1" in prompt
    report, _ = march(asked(request_, "alone", "part", "whole"))
    assert set(scored(report)) == {"untuned", "whole"}
    (why,) = report.unjudged.values()
    assert why.startswith("1 of 2 judgements on alone@say are missing (out of order)")
    assert (request_.store.folder / KEPT).exists()
    questions = len(judge.asked)
    judge.broken = lambda prompt: False
    report, _ = march(asked(request_, "alone", "part", "whole"))
    assert report.ok and set(scored(report)) == {"untuned", "part", "whole"}
    assert len(judge.asked) == questions + 2  # both orders of the one pair that was missing


def test_judges_are_never_mixed(march: Any, judge: ToyJudge, request_: RunRequest) -> None:
    first, _ = march(asked(request_, "alone", "part", "whole"))
    judge.revision = "2"
    second, _ = march(asked(request_, "alone", "part", "whole"))
    runs = {r.run_id: r for r in first.runs}
    assert len(rank(runs, list(scored(first).values()))) == 3
    with pytest.raises(BoardError, match="judge is"):
        rank(runs, [scored(first)["whole"], scored(second)["part"]])


def test_a_judge_without_verdicts_gives_no_publishable_result(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    judge.silent = lambda prompt: "sample 1" in prompt
    report, _ = march(asked(request_, "alone", "part", "whole"))
    found = scored(report)
    assert not report.ok
    assert (found["part"].publishable, found["whole"].publishable) == (False, True)
    assert found["part"].score("no_verdict").value == 0.5


def test_a_judge_that_never_answers_has_judged_nothing(
    march: Any, judge: ToyJudge, request_: RunRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    judge.silent = lambda prompt: True
    report, _ = march(asked(request_, "alone", "part", "whole"))
    assert not report.ok and set(scored(report)) == {"whole"}  # which is compared with itself
    whys = list(report.unjudged.values())
    assert len(whys) == 2
    assert all(why.startswith("judge 'toy' named neither answer in any of 2") for why in whys)
    print_tables(report, request_.store)
    out = capsys.readouterr().out
    assert "compared with themselves, and no judge is asked of that" in out
    assert "part (seed 1): not judged: judge 'toy' named neither answer" in out


def test_a_judge_of_the_place_is_marked_where_it_judged(
    march: Any, judge: ToyJudge, request_: RunRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    judge.prefers = place
    report, _ = march(asked(request_, "alone", "part", "whole"))
    print_tables(report, request_.store)
    note = (
        "The judge said the same in both orders in 0.00 to 0.00 % of the comparisons and named "
        "neither answer in 0.00 to 0.00 % of the questions; `benchbench judge check`"
    )
    assert note in capsys.readouterr().out
    print_json(report, request_.store)
    (part,) = (r for r in json.loads(capsys.readouterr().out) if r["method"] == "part")
    assert {s["metric"]: s["value"] for s in part["scores"]}[STEADY] == 0.0
    results = list(scored(report).values())
    assert note in page("Long", tables(report.runs, results), results)


def test_tables_tell_of_the_judge_and_of_length(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    report, _ = march(asked(request_, "alone", "part", "whole"))
    (rows,) = tables(report.runs, report.results).values()
    assert {row.judge for row in rows} == {"toy"}
    assert {row.output_tokens for row in rows} == {1.0}
    assert rows[0].other_scores["no_verdict"] == 0.0
    assert "tokens" in columns(rows)
    results = list(scored(report).values())
    text = page("Long", tables(report.runs, results), results)
    assert "Judged by toy" in text and "against the reference's answers" in text
    scored_rows = rank({r.run_id: r for r in report.runs}, results)
    assert set(columns(scored_rows)) - set(score_rows(scored_rows)[0]) == set()


def test_one_and_the_same_method_is_everybodys_opponent(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    request = asked(request_, "alone", "part")
    wholes = [MethodSpec(name="whole", params={"learning_rate": rate}) for rate in (2.0, 1.0)]
    both = replace(request, grid=replace(request.grid, methods=(*request.grid.methods, *wholes)))
    report, _ = march(both)
    opponents = {r.spec.opponent for r in report.results if r.is_scored}
    assert len(opponents) == 1
    alone, _ = march(request)
    assert {r.spec.opponent for r in alone.results if r.is_scored} == opponents
    tables(alone.known_runs, alone.known_results)


def test_a_reference_that_is_not_served_as_trained_is_nobodys_opponent(
    march: Any, judge: ToyJudge, request_: RunRequest, world: World
) -> None:
    world.parity = False
    march(asked(request_, "alone", "whole", judge=""))
    world.parity = True
    report, _ = march(asked(request_, "alone", "part"))
    assert scored(report) == {}
    assert all("no such run that is publishable" in why for why in report.unjudged.values())


def test_outputs_that_are_lost_are_told(march: Any, judge: ToyJudge, request_: RunRequest) -> None:
    first, _ = march(asked(request_, "alone", "part", "whole", judge=""))
    whole = next(r for r in first.results if r.run.method.name == "whole")
    (request_.store.result_folder(whole.run_id, whole.spec) / "samples.jsonl").unlink()
    report, _ = march(asked(request_, "alone", "part", "whole"))
    assert not report.ok and scored(report) == {}
    assert all("an output, or its opponent's, is missing" in w for w in report.unjudged.values())


def test_a_judge_that_breaks_down_leaves_what_it_has_judged(
    march: Any, judge: ToyJudge, request_: RunRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ToyJudge.ask

    def until_part(self: ToyJudge, questions: Any) -> Iterator[Any]:
        for question in sorted(questions, key=lambda each: "a fine answer" in each.prompt):
            if "a fine answer" in question.prompt:
                raise JudgeError("judge 'toy' is gone.")
            yield from ask(self, [question])

    monkeypatch.setattr(ToyJudge, "ask", until_part)
    report, _ = march(asked(request_, "alone", "part", "whole"))
    assert set(scored(report)) == {"untuned", "whole"}
    assert "(judge 'toy' is gone); mend that" in next(iter(report.unjudged.values()))


def test_seeds_of_a_reference_that_ties_with_itself_say_nothing_of_noise(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    request = asked(request_, "alone", "part", "whole")
    report, _ = march(replace(request, grid=replace(request.grid, seeds=(1, 2))))
    (rows,) = tables(report.runs, report.results).values()
    assert {row.noise for row in rows} == {None}


def test_what_is_not_publishable_is_tried_again(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    judge.silent = lambda prompt: "sample 1" in prompt
    march(asked(request_, "alone", "part", "whole"))
    judge.silent = lambda prompt: False
    (request_.store.folder / KEPT).unlink()
    request = replace(asked(request_, "alone", "part", "whole"), retry_failed=True)
    report, _ = march(request)
    assert report.ok and set(scored(report)) == {"untuned", "part", "whole"}


def test_what_a_judged_result_compared_can_be_read_again(
    march: Any, judge: ToyJudge, request_: RunRequest, tiny_model: Path
) -> None:
    report, _ = march(asked(request_, "alone", "part", "whole"))
    part = scored(report)["part"]
    registry = toys.registry(tiny_model, (Published, Alone))
    folder = request_.store.result_folder(part.run_id, part.spec)
    found = judged_comparisons(folder, registry, None)
    assert [(c.instruction, c.first, c.second) for c in found] == [
        (f"sample {n}", "a fine answer", "good") for n in range(2)
    ]
    generated = next(r for r in report.results if r.run_id == part.run_id and not r.is_scored)
    unjudged = request_.store.result_folder(generated.run_id, generated.spec)
    for wrong in (unjudged, folder / "nowhere"):
        with pytest.raises(StoreError, match="holds no judged result"):
            judged_comparisons(wrong, registry, None)


def test_outputs_are_shown_once(march: Any, judge: ToyJudge, request_: RunRequest) -> None:
    report, _ = march(asked(request_, "alone", "part", "whole"))
    assert len(report.results) == 6
    assert [r.is_scored for r in report.final_results] == [True] * 3


def test_a_missing_reference_is_told_before_the_work(
    march: Any, judge: ToyJudge, request_: RunRequest
) -> None:
    _, says = march(asked(request_, "alone", "part"))
    assert "add --method full" in says.lines[0] + says.lines[1] + says.lines[2]
    for task, methods in (("alone", ("part", "whole")), ("published", ("part",))):
        _, says = march(asked(request_, task, *methods))
        assert not any("add --method full" in line for line in says.lines)

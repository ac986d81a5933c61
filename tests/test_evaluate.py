from pathlib import Path

import pytest

from benchbench.engines import Request
from benchbench.evaluate import Job, evaluate, summarise
from benchbench.plan import TaskSplit, read_split
from benchbench.prompt import Prompt
from benchbench.record import Checkpoint, ResultSpec, RunRecord, TaskResult
from benchbench.specs import TaskSpec
from benchbench.store import Store
from tests.toys import ENGINE, ORIGIN, PARITY, Echo, ToyEngine, registry, run_record

SPLIT = read_split(registry(), registry().resolve_task(TaskSpec(name="echo")), "test", None)
PROMPTS = [Prompt(tokens=(number,), truncated=number == 0) for number in range(6)]


def job(run: RunRecord, split: TaskSplit = SPLIT) -> Job:
    assert run.artefact is not None
    sha256 = run.artefact.sha256
    return Job(
        run=run,
        checkpoint=Checkpoint(run_id=run.run_id, route="base", sha256=sha256, folder=Path()),
        split=split,
        prompts=PROMPTS,
        spec=ResultSpec(task=split.spec, data=split.data, engine=ENGINE, checkpoint=sha256),
        origin=ORIGIN,
    )


def says_its_input(request: Request) -> str:
    return SPLIT.samples[request.prompt[0]].input


def results(engine: ToyEngine, store: Store, *jobs: Job) -> list[TaskResult]:
    parities = {j.run.run_id: PARITY for j in jobs}
    return list(evaluate(engine, jobs, parities, store, lambda done: None))


def test_answers_find_their_sample_in_any_order(tmp_path: Path) -> None:
    engine = ToyEngine(says_its_input)
    (result,) = results(engine, Store(tmp_path), job(run_record()))
    assert result.primary.value == 1.0
    assert (result.n, result.n_missing, result.n_truncated) == (6, 0, 1)
    assert result.publishable
    assert Store(tmp_path).result(result.run_id, result.spec) == result


def test_all_checkpoints_go_to_the_engine_in_one_call(tmp_path: Path) -> None:
    first, second = run_record("part", 1), run_record("part", 2)
    engine = ToyEngine(
        lambda r: says_its_input(r) if r.checkpoint == first.run_id else "something else"
    )
    found = results(engine, Store(tmp_path), job(first), job(second))
    scores = {r.run_id: r.primary.value for r in found}
    assert scores == {first.run_id: 1.0, second.run_id: 0.0}
    assert len({r.id for r in engine.requests}) == 12


def test_finished_samples_are_not_asked_again(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record()

    class Killed(Exception):
        pass

    def answer(request: Request) -> str:
        if len(engine.requests) == 4:
            raise Killed
        return says_its_input(request)

    engine = ToyEngine(answer)
    with pytest.raises(Killed):
        results(engine, store, job(run))
    assert store.result(run.run_id, job(run).spec) is None
    again = ToyEngine(says_its_input)
    (result,) = results(again, store, job(run))
    assert len(again.requests) == 3
    assert result.primary.value == 1.0
    assert len(store.read_rows(run.run_id, result.spec)) == 6


def test_a_result_is_written_even_if_only_the_record_was_missing(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record()
    (first,) = results(ToyEngine(says_its_input), store, job(run))
    (store.result_folder(run.run_id, first.spec) / "result.json").unlink()
    engine = ToyEngine(says_its_input)
    (second,) = results(engine, store, job(run))
    assert engine.requests == []
    assert second.scores == first.scores


def test_missing_answers_are_counted_and_score_zero(tmp_path: Path) -> None:
    engine = ToyEngine(lambda r: None if r.prompt[0] < 3 else says_its_input(r))
    (result,) = results(engine, Store(tmp_path), job(run_record()))
    assert (result.n, result.n_missing) == (6, 3)
    assert result.primary.value == 0.5
    assert not result.publishable


def test_no_answer_at_all_is_a_result_too(tmp_path: Path) -> None:
    (result,) = results(ToyEngine(lambda r: None), Store(tmp_path), job(run_record()))
    assert (result.n_missing, result.primary.value) == (6, 0.0)


def test_rows_keep_output_answer_and_targets(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record()
    results(ToyEngine(lambda r: f" {says_its_input(r)}\n"), store, job(run))
    row = store.read_rows(run.run_id, job(run).spec)["odd 2"]
    assert row["outputs"] == [" odd 2\n"]
    assert row["answers"] == ["odd 2"]
    assert row["targets"] == ["odd 2"]
    assert row["scores"] == {"same": 1.0, "said": 1.0}


def test_means_are_over_samples_groups_and_by_group() -> None:
    task = Echo()
    scores = {s.id: {"same": float(s.groups["kind"] == "even")} for s in SPLIT.samples[:4]}
    means, groups = summarise(task, SPLIT.samples, scores)
    by_mean = {(s.metric, s.mean): s for s in means}
    assert by_mean["same", "micro"].value == 0.5
    assert by_mean["same", "macro"].n == 2
    assert means[0].metric == "same"
    assert groups["kind"]["even"].means["same"] == 1.0
    assert groups["kind"]["odd"].n == 3

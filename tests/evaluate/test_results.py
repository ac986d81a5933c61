import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from benchbench import Data, Sample, Task, machine
from benchbench.boards.rank import rank
from benchbench.engines.engine import Request
from benchbench.errors import EngineError
from benchbench.evaluate.jobs import Job, render
from benchbench.evaluate.results import evaluate, means_of
from benchbench.machine import peak_memory, reset_peak
from benchbench.models.base import BaseModel
from benchbench.models.prompt import Prompt, Renderer
from benchbench.plan.samples import TaskSplit, read_split
from benchbench.records.record import Checkpoint, ResultSpec, RunRecord, TaskResult
from benchbench.records.store import Store
from benchbench.specs import TaskSpec
from tests.toys import DATA, ENGINE, ORIGIN, PARITY, Echo, ToyEngine, registry, run_record
from tests.toys import result as toy_result
from tests.toys.tasks import Judged, Ranked, Toy, Turns
from tests.toys.world import Says

SPLIT = read_split(registry(), registry().resolve_task(TaskSpec(name="echo")), None)
PROMPTS = [Prompt(tokens=(number,), truncated=number == 0, max_new_tokens=4) for number in range(6)]

RENDERER = Renderer(None, context=64)


def job(run: RunRecord, split: TaskSplit = SPLIT, renderer: Renderer = RENDERER) -> Job:
    assert run.artefact is not None
    sha256 = run.artefact.sha256
    prompts = PROMPTS
    if split.samples is not SPLIT.samples:
        prompts = render(split, renderer)
    return Job(
        run=run,
        model=BaseModel(Path()),
        checkpoint=Checkpoint(run_id=run.run_id, route="base", sha256=sha256, folder=Path()),
        split=split,
        prompts=prompts,
        renderer=renderer,
        spec=ResultSpec(task=split.spec, data=split.data, engine=ENGINE, checkpoint=sha256),
    )


def says_its_input(request: Request) -> str:
    return SPLIT.samples[request.prompt[0]].input


def results(engine: ToyEngine, store: Store, *jobs: Job) -> list[TaskResult]:
    parities = {j.run.run_id: PARITY for j in jobs}
    return list(evaluate(engine, jobs, parities, store, Says()))


def test_answers_find_their_sample_in_any_order(tmp_path: Path) -> None:
    engine = ToyEngine(says_its_input)
    (result,) = results(engine, Store(tmp_path), job(run_record()))
    assert result.primary.value == 1.0
    assert (result.n, result.n_missing, result.n_truncated) == (6, 0, 1)
    assert result.publishable
    assert Store(tmp_path).read().result(result.run_id, result.spec) == result


def test_all_checkpoints_go_to_the_engine_in_one_call(tmp_path: Path) -> None:
    first, second = run_record("part", 1), run_record("part", 2)
    engine = ToyEngine(
        lambda r: says_its_input(r) if r.checkpoint == first.run_id else "something else"
    )
    found = results(engine, Store(tmp_path), job(first), job(second))
    scores = {r.run_id: r.primary.value for r in found}
    assert scores == {first.run_id: 1.0, second.run_id: 0.0}
    assert len({r.id for r in engine.requests}) == 12


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux begins anew")
def test_a_result_says_what_the_engine_held_to_answer_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "device", lambda: "cpu")

    def holding(request: Request) -> str:
        block = bytearray(96 * 2**20)
        block[::4096] = b"x" * len(block[::4096])
        return says_its_input(request)

    reset_peak()
    before = peak_memory()
    (result,) = results(ToyEngine(holding), Store(tmp_path), job(run_record()))
    assert result.peak_memory_kind == "rss"
    assert before is not None and result.peak_memory_bytes is not None
    assert result.peak_memory_bytes > before + 50 * 2**20


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
    assert not store.read().results
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
    scores = {s.id: {"same": float(s.groups["kind"] == "even")} for s in SPLIT.samples[:4]}
    means, groups = means_of(SPLIT, scores)
    by_mean = {(s.metric, s.mean): s for s in means}
    assert by_mean["same", "micro"].value == 0.5
    assert by_mean["same", "macro"].n == 2
    assert means[0].metric == "same"
    assert groups["kind"]["even"].means["same"] == 1.0
    assert groups["kind"]["odd"].n == 3


@pytest.fixture(scope="module")
def renderer(tiny_model: Path) -> Renderer:
    return Renderer.of(BaseModel(tiny_model))


def split_of(task: Task) -> TaskSplit:
    protocol = task.protocols["say"]
    samples = tuple(task.samples("test", Data(name="", folder=Path(), source="sample")))
    spec = TaskSpec(name=task.name, protocol="say")
    return TaskSplit(
        task=task, spec=spec, protocol=protocol, samples=samples, data=DATA, origin=ORIGIN
    )


def test_choices_are_ranked_and_nothing_is_generated(renderer: Renderer, tmp_path: Path) -> None:
    ranks = job(run_record(), split_of(Ranked()), renderer)
    engine = ToyEngine(lambda request: (-1.0, -2.0) if request.id.endswith("1") else (-2.0, -1.0))
    (result,) = results(engine, Store(tmp_path), ranks)
    assert result.primary.value == pytest.approx(1 / 3)
    assert (result.output_tokens, result.unique_tokens) == (None, None)
    for request in engine.requests:
        assert [renderer.tokenizer.decode(list(c)) for c in request.choices] == [" yes", " no"]
    row = Store(tmp_path).read_rows(result.run_id, result.spec)["sample 1"]
    assert row["choices"] == [-1.0, -2.0]
    assert ranks.longest == max(request.length for request in engine.requests)


def test_a_second_turn_follows_each_answer(renderer: Renderer, tmp_path: Path) -> None:
    turns = job(run_record(), split_of(Turns()), renderer)
    engine = ToyEngine(
        lambda r: "yes" if "again" in renderer.tokenizer.decode(list(r.prompt)) else "first"
    )
    (result,) = results(engine, Store(tmp_path), turns)
    assert result.primary.value == 1.0
    rows = Store(tmp_path).read_rows(result.run_id, result.spec)
    assert [row["outputs"] for row in rows.values()] == [["first", "yes"]] * 3
    assert turns.longest == renderer.context
    second = renderer.tokenizer.decode(list(engine.requests[-1].prompt))
    assert second.startswith("<s>sample") and second.endswith("first</s>again")


def test_a_sample_whose_second_turn_is_missing_is_asked_from_the_start(
    renderer: Renderer, tmp_path: Path
) -> None:
    turns = job(run_record(), split_of(Turns()), renderer)
    silent = ToyEngine(lambda r: None if "again" in renderer.tokenizer.decode(r.prompt) else "no")
    (result,) = results(silent, Store(tmp_path / "silent"), turns)
    assert (result.n_missing, result.publishable) == (3, False)
    assert Store(tmp_path / "silent").read_rows(result.run_id, result.spec) == {}


def test_a_judged_task_is_not_scored_here(renderer: Renderer, tmp_path: Path) -> None:
    judged = job(run_record(), split_of(Judged()), renderer)
    (result,) = results(ToyEngine(lambda r: "words"), Store(tmp_path), judged)
    assert (result.scores, result.groups, result.n_missing) == ((), {}, 0)
    assert (result.output_tokens, result.unique_tokens) == (1.0, 1.0)


def test_scoring_goes_on_beside_generation(renderer: Renderer, tmp_path: Path) -> None:
    """The engine is asked for the next completion before the last one has its score."""
    released = Event()

    class Slow(Toy):
        def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
            assert released.wait(60)
            return {"right": 1.0}

    def answer(request: Request) -> str:
        if request.id.endswith("/0"):  # the last one that is asked for
            released.set()
        return "yes"

    (result,) = results(
        ToyEngine(answer), Store(tmp_path), job(run_record(), split_of(Slow()), renderer)
    )
    assert result.primary.value == 1.0


def test_what_a_score_depends_on_is_in_the_record(renderer: Renderer, tmp_path: Path) -> None:
    class Boxed(Toy):
        def environment(self) -> Mapping[str, str]:
            return {"sandbox": "strong"}

    split = job(run_record(), split_of(Boxed()), renderer)
    (result,) = results(ToyEngine(lambda r: "yes"), Store(tmp_path), split)
    assert result.environment["sandbox"] == "strong"
    assert "python" in result.environment


def test_a_protocol_may_have_a_primary_metric_of_its_own(tmp_path: Path) -> None:
    split = replace(SPLIT, protocol=replace(SPLIT.protocol, metric="said"))
    (result,) = results(ToyEngine(lambda r: "words"), Store(tmp_path), job(run_record(), split))
    assert (result.metric, result.primary.value, result.score("same").value) == ("said", 1.0, 0.0)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        (KeyError("answer"), f"(KeyError: 'answer', in {__file__}, line "),
        ({"rigth": 1.0}, "no 'right' among its scores: rigth); it counts"),
        ({"right": float("nan")}, "right is nan"),
        ({"right": 1.5}, "right is 1.5; a score lies in"),
    ],
)
def test_a_sample_that_cannot_be_scored_is_missing_and_the_others_go_on(
    scores: Any, why: str, renderer: Renderer, tmp_path: Path
) -> None:
    class Fails(Toy):
        def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
            if sample.id != "sample 1":
                return {"right": 1.0}
            if isinstance(scores, Exception):
                raise scores
            return dict(scores)

    says = Says()
    bad = job(run_record(seed=1), split_of(Fails()), renderer)
    good = job(run_record(seed=2), split_of(Toy()), renderer)
    found = evaluate(ToyEngine(lambda r: "yes"), [bad, good], {}, Store(tmp_path), says)
    missing = {result.run.seed: result.n_missing for result in found}
    assert missing == {1: 1, 2: 0}
    (text,) = says.lines
    assert "task toy cannot score sample 'sample 1'" in text and why in text


def test_what_was_answered_before_the_engine_failed_is_kept(
    renderer: Renderer, tmp_path: Path
) -> None:
    def answer(request: Request) -> str:
        if request.id == "0/0":  # the last one that is asked for
            raise EngineError("out of luck")
        return "yes"

    asked = job(run_record(), split_of(Toy()), renderer)
    with pytest.raises(EngineError):
        results(ToyEngine(answer), Store(tmp_path), asked)
    assert len(Store(tmp_path).read_rows(asked.run.run_id, asked.spec)) == 2


def test_samples_of_other_prompts_are_asked_anew(renderer: Renderer, tmp_path: Path) -> None:
    """A task was edited while its result was half done."""
    store, run = Store(tmp_path), run_record()
    toy = job(run, split_of(Toy()), renderer)
    (first,) = results(ToyEngine(lambda r: "yes"), store, toy)
    store.result_path(run.run_id, first.spec).unlink()
    prompts = [replace(p, tokens=(*p.tokens, 5)) if n else p for n, p in enumerate(toy.prompts)]
    engine = ToyEngine(lambda r: "no")
    (second,) = results(engine, store, replace(toy, prompts=prompts))
    assert len(engine.requests) == 2
    assert second.primary.value == pytest.approx(1 / 3)


LONG = 16
"""Enough for a first question and its answer, and not for a second."""


def test_a_cut_prompt_of_a_later_turn_counts(renderer: Renderer, tmp_path: Path) -> None:
    turns = job(run_record(), split_of(Turns()), replace(renderer, context=LONG))
    (result,) = results(ToyEngine(lambda r: "yes"), Store(tmp_path), turns)
    assert (result.n_truncated, sum(p.truncated for p in turns.prompts)) == (3, 0)


def test_a_macro_mean_may_be_the_one_that_is_reported(tmp_path: Path) -> None:
    class Uneven(Echo):
        mean = "macro"

        def samples(self, split: str, data: Data) -> Iterable[Sample]:
            samples = list(Echo(samples_each=self.samples_each).samples(split, data))
            return [*samples, replace(samples[0], id="even 9", input="even 9")]

    task = Uneven()
    samples = tuple(task.samples("test", Data(name="", folder=Path(), source="sample")))
    split = replace(SPLIT, task=task, samples=samples)
    means, groups = means_of(split, {s.id: {"same": 1.0} for s in samples[:3]})
    record = result_of(run_record(), means, groups)
    assert record.primary.value == pytest.approx((3 / 4 + 0) / 2)
    (row,) = rank({record.run_id: run_record()}, [record])
    assert row.score.value == pytest.approx(record.primary.value)


def result_of(run: RunRecord, means: Any, groups: Any) -> TaskResult:
    return replace(toy_result(run, 0.5), scores=means, groups=groups, mean="macro")

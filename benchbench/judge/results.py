"""Judges the outputs of runs: compares them with a reference's, and writes results with scores.

Outputs are compared with the sample's own first reference, where the task gives one (a published
baseline), or else with the outputs of the reference method: of the same seed if there is such a
run, or of the first.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchbench.errors import JudgeError, StoreError
from benchbench.evaluate.results import means_of
from benchbench.judge.comparison import Comparison, comparison
from benchbench.judge.judge import Judge, Judgement, compare
from benchbench.judge.kept import Kept
from benchbench.judge.preferences import differences, length_adjusted_win_rate
from benchbench.plan.samples import TaskSplit, read_split
from benchbench.records.record import (
    DATA_SET,
    LENGTH_ADJUSTED,
    REFERENCE,
    WIN_RATE,
    ResultSpec,
    Score,
    TaskResult,
    now,
)
from benchbench.records.store import Snapshot, Store, read_record
from benchbench.registry.registry import Registry
from benchbench.reporter import Reporter
from benchbench.specs import canonical, digest

KEPT = "judgements.jsonl"
"""File of the store with all answers of judges."""

Unjudged = dict[tuple[str, str], str]
"""Run id and task -> why its outputs are not judged, or not all."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a run generated for a judged task, and what it is compared with."""

    split: TaskSplit
    result: TaskResult
    """Of the generation, without scores."""
    spec: ResultSpec
    """Of the result to come."""
    opponent: Mapping[str, Sequence[str]]
    """Sample id -> answers, one a turn."""


def judge_all(
    splits: Sequence[TaskSplit],
    generated: Sequence[TaskResult],
    references: Sequence[TaskResult],
    judge: Judge,
    known: Snapshot,
    store: Store,
    reporter: Reporter,
) -> tuple[tuple[TaskResult, ...], Unjudged]:
    """Judge outputs; returns the results, and why others have none.

    ``references`` are the reference method's results on the same tasks, some of which may be among
    those generated.
    """
    outputs: list[Outputs] = []
    unjudged: Unjudged = {}
    for split in splits:
        for result in (r for r in generated if r.spec.task == split.spec):
            rivals = [r for r in references if r.spec.task == split.spec]
            found = find_opponent(result, split, rivals, store)
            if found is None:
                unjudged[result.run_id, split.spec.label] = (
                    f"{split.spec.label} compares outputs with full finetuning's, and there is no "
                    "such run that is publishable; add --method full, or try it again with "
                    "--retry-failed"
                )
                continue
            opponent, answers = found
            spec = replace(result.spec, judge=judge.spec, opponent=opponent)
            outputs.append(Outputs(split=split, result=result, spec=spec, opponent=answers))
    done = [known.result(each.result.run_id, each.spec) for each in outputs]
    missing = [each for each, result in zip(outputs, done, strict=True) if result is None]
    judged, why = judge_missing(missing, judge, store, reporter)
    return (*filter(None, done), *judged), unjudged | why


def judge_missing(
    missing: Sequence[Outputs], judge: Judge, store: Store, reporter: Reporter
) -> tuple[list[TaskResult], Unjudged]:
    """Judge outputs; results are written where every sample has a judgement."""
    rows = [store.read_rows(each.result.run_id, each.result.spec) for each in missing]
    pairs = [
        {pair.id: pair for pair in _comparisons(each.split, rows[number], each.opponent)}
        for number, each in enumerate(missing)
    ]
    asked = [replace(p, id=f"{n}/{p.id}") for n, own in enumerate(pairs) for p in own.values()]
    found: list[dict[str, Judgement]] = [{} for _ in missing]
    stopped = ""
    kept = Kept(store.folder / KEPT)
    with reporter.bar(f"judging by {judge.spec.model}", len(asked)) as update:
        try:
            for judgement in compare(judge, asked, kept, lambda n: update(n, len(asked), "")):
                number, _, name = judgement.id.partition("/")
                found[int(number)][name] = judgement
        except JudgeError as error:  # what was judged by then counts, and the rest is told
            stopped = str(error)
    results: list[TaskResult] = []
    unjudged: Unjudged = {}
    for each, own, said, row in zip(missing, pairs, found, rows, strict=True):
        if why := _lacking(each.split, said.values(), stopped, judge.spec.model):
            unjudged[each.result.run_id, each.split.spec.label] = why
        else:
            results.append(_write(each, own, said, row, store))
    return results, unjudged


def _lacking(split: TaskSplit, said: Collection[Judgement], stopped: str, judge: str) -> str | None:
    """Say why judgements make no result; ``stopped`` is why the judge said no more."""
    errors = [judgement.error for judgement in said if judgement.error]
    if lacking := len(split.samples) - len(said) + len(errors):
        why = next(filter(None, (stopped, *errors)), "an output, or its opponent's, is missing")
        return (
            f"{lacking} of {len(split.samples)} judgements on {split.spec.label} are missing "
            f"({why.rstrip('.')}); mend that, and the same command again asks for them"
        )
    verdicts = {order for judgement in said for order in judgement.orders}
    if None in verdicts and verdicts <= {None, 0.5}:  # answers that look the same are a tie
        return (
            f"judge {judge!r} named neither answer in any of {len(said)} comparisons, so that it "
            "judged nothing; `benchbench judge check` tries it, and --judge-set or another judge "
            "may help"
        )
    return None


def find_opponent(
    result: TaskResult, split: TaskSplit, references: Sequence[TaskResult], store: Store
) -> tuple[str, Mapping[str, Sequence[str]]] | None:
    """Return whose answers a run's are compared with, and those; None where there are none."""
    if all(sample.targets for sample in split.samples):
        return DATA_SET, {sample.id: sample.targets for sample in split.samples}
    if not references:
        return None
    # Of several, one and the same method for all, whose seed may be the run's.
    chosen = min(canonical(each.run.method) for each in references)
    best = min(
        (each for each in references if canonical(each.run.method) == chosen),
        key=lambda each: (each.run.seed != result.run.seed, each.run.seed),
    )
    rows = store.read_rows(best.run_id, best.spec)
    answers = {name: row["outputs"] for name, row in rows.items()}
    return f"{REFERENCE}:{digest(best.run.method)}:{best.spec.checkpoint}", answers


def judged_comparisons(
    folder: Path, registry: Registry, data_root: Path | None
) -> list[Comparison]:
    """Return what a judged result compared, from its record and rows.

    Raises StoreError where the folder holds none, DataError where the data are not at hand.
    """
    result = read_record(folder / "result.json", TaskResult)
    if result is None or result.spec.judge is None:
        raise StoreError(
            f"{str(folder)!r} holds no judged result; give the folder of one, RUN/tasks/KEY, which "
            "`benchbench run --judge …` wrote."
        )
    split = read_split(registry, result.spec.task, data_root)
    rows = Store(folder.parents[2]).read_rows(result.run_id, result.spec)
    opponent = {name: row["targets"] for name, row in rows.items()}
    return list(_comparisons(split, rows, opponent))


def _comparisons(
    split: TaskSplit,
    rows: Mapping[str, Mapping[str, Any]],
    opponent: Mapping[str, Sequence[str]],
) -> Iterator[Comparison]:
    for sample in split.samples:
        if sample.id in rows and sample.id in opponent:
            own, other = rows[sample.id]["outputs"], opponent[sample.id]
            yield comparison(split.task, split.protocol, sample, own, other)


def _write(
    outputs: Outputs,
    pairs: Mapping[str, Comparison],
    judgements: Mapping[str, Judgement],
    rows: Mapping[str, dict[str, Any]],
    store: Store,
) -> TaskResult:
    run_id, spec = outputs.result.run_id, outputs.spec
    known = store.read_rows(run_id, spec)
    for name, judgement in judgements.items():
        if name not in known:
            row = {
                **rows[name],
                "targets": [pairs[name].second],
                "judgement": list(judgement.orders),
                "scores": judgement.scores,
            }
            store.add_row(run_id, spec, row)
    # Of the rows: a command that was killed may have left some by an earlier answer of the judge.
    written = store.read_rows(run_id, spec)
    scores = {name: row["scores"] for name, row in written.items()}
    means, groups = means_of(outputs.split, scores)
    preferences = [scores[name][WIN_RATE] for name in judgements]
    adjusted = _adjusted([pairs[name] for name in judgements], preferences)
    result = replace(
        outputs.result,
        spec=spec,
        scores=(*means, *adjusted),
        groups=groups,
        samples_sha256=store.samples_sha256(run_id, spec),
        created=now(),
    )
    store.add_result(result)
    return result


def _adjusted(pairs: Sequence[Comparison], preferences: Sequence[float]) -> Iterator[Score]:
    found = length_adjusted_win_rate(differences(pairs), preferences)
    if found is not None:
        value, low, high, n = found.value, found.low, found.high, found.n
        yield Score(metric=LENGTH_ADJUSTED, mean="micro", value=value, low=low, high=high, n=n)

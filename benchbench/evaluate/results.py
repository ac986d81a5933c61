"""Engine + checkpoints + tasks -> results.

All missing samples of all checkpoints and tasks go to the engine in one call, so that it can mix
them; each is scored and written as it finishes, and a result is written when its last one is in.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from benchbench import stats
from benchbench.contract.task import Sample
from benchbench.engines.engine import Engine
from benchbench.evaluate.answers import answers_to, scored_rows
from benchbench.evaluate.jobs import Job, known_rows, requests_of
from benchbench.machine import environment, memory_kind, peak_memory
from benchbench.plan.samples import TaskSplit
from benchbench.records.record import GroupScore, Parity, Score, TaskResult, now
from benchbench.records.store import Store
from benchbench.reporter import Reporter

SAMPLE = "sample"
"""The kind of group of a task without clusters: every sample is its own."""


def evaluate(
    engine: Engine,
    jobs: Sequence[Job],
    parities: Mapping[str, Parity],
    store: Store,
    reporter: Reporter,
) -> Iterator[TaskResult]:
    """Score the jobs and yield each result when it is in the store.

    ``parities`` holds a run's parity by run id. Samples that a task could not score are told: they
    are missing, and the others go on.
    """
    started = time.perf_counter()
    done = [known_rows(job, store) for job in jobs]
    requests = list(requests_of(jobs, done))
    left = {n: _missing(job, done[n]) for n, job in enumerate(jobs)}
    total = sum(len(job.split.samples) for job in jobs)

    def finish(number: int) -> TaskResult:
        job = jobs[number]
        seconds = time.perf_counter() - started
        result = _result(job, done[number], parities.get(job.run.run_id), store, seconds)
        store.add_result(result)
        return result

    runs = counted({job.run.run_id for job in jobs})
    with reporter.bar(f"evaluating {runs}", total) as update:
        update(total - sum(left.values()), total, "")
        yield from (finish(number) for number, missing in list(left.items()) if not missing)
        answers = answers_to(engine, jobs, requests, reporter.say)
        for number, row in scored_rows(jobs, answers, reporter.say):
            job = jobs[number]
            store.add_row(job.run.run_id, job.spec, row)
            done[number][row["id"]] = row
            left[number] -= 1
            update(total - sum(left.values()), total, "")
            if not left[number]:
                yield finish(number)
    # What the engine did not answer is counted, scores 0, and keeps the result off the boards.
    yield from (finish(number) for number, missing in left.items() if missing)


def counted(checkpoints: Collection[object]) -> str:
    """Say how many checkpoints there are."""
    return f"{len(checkpoints)} checkpoint{'s' * (len(checkpoints) != 1)}"


def means_of(
    split: TaskSplit, scores: Mapping[str, Mapping[str, float]]
) -> tuple[tuple[Score, ...], dict[str, dict[str, GroupScore]]]:
    """Return means with intervals, and means by group; a sample without scores counts as 0."""
    task, samples, primary = split.task, split.samples, split.metric
    metrics = sorted({m for row in scores.values() for m in row} | {primary})
    kinds = sorted({kind for sample in samples for kind in sample.groups})
    kinds += [] if task.cluster else [SAMPLE]
    means: list[Score] = []
    for metric in sorted(metrics, key=lambda m: m != primary):
        clusters = _groups(samples, scores, metric, task.cluster or SAMPLE)
        estimates = {"micro": stats.micro_mean(list(clusters.values()))}
        if task.cluster:
            estimates["macro"] = stats.macro_mean(list(clusters.values()))
        means += [
            Score(metric=metric, mean=mean, value=e.value, low=e.low, high=e.high, n=e.n)  # type: ignore[arg-type]
            for mean, e in estimates.items()
        ]
    by_kind: dict[str, dict[str, GroupScore]] = {}
    for kind in kinds:
        by_metric = {m: _groups(samples, scores, m, kind) for m in metrics}
        by_kind[kind] = {
            name: GroupScore(
                n=group.n, means={m: by_metric[m][name].total / group.n for m in metrics}
            )
            for name, group in sorted(by_metric[primary].items())
        }
    return tuple(means), by_kind


def _groups(
    samples: Sequence[Sample],
    scores: Mapping[str, Mapping[str, float]],
    metric: str,
    kind: str,
) -> dict[str, stats.Group]:
    groups: dict[str, stats.Group] = {}
    for sample in samples:
        name = sample.id if kind == SAMPLE else sample.groups[kind]
        total, n = groups.get(name, stats.Group(0.0, 0))
        groups[name] = stats.Group(total + scores.get(sample.id, {}).get(metric, 0.0), n + 1)
    return groups


def _missing(job: Job, rows: Mapping[str, Any]) -> int:
    return sum(sample.id not in rows for sample in job.split.samples)


def _result(
    job: Job,
    rows: Mapping[str, Mapping[str, Any]],
    parity: Parity | None,
    store: Store,
    seconds: float,
) -> TaskResult:
    task, samples = job.split.task, job.split.samples
    found = {name: row["scores"] for name, row in rows.items()}
    scores, groups = ((), {}) if task.judged else means_of(job.split, found)
    return TaskResult(
        run=job.run.spec,
        spec=job.spec,
        origin=job.split.origin,
        metric=job.split.metric,
        mean=task.mean,
        cluster=task.cluster or SAMPLE,
        scores=scores,
        groups=groups,
        n=len(samples),
        n_missing=_missing(job, rows),
        n_truncated=sum(row["truncated"] for row in rows.values()),
        route=job.checkpoint.route,
        parity=parity,
        output_tokens=_mean_of(rows.values(), "output_tokens"),
        unique_tokens=_mean_of(rows.values(), "unique_tokens"),
        samples_sha256=store.samples_sha256(job.run.run_id, job.spec),
        seconds=round(seconds, 3),
        peak_memory_bytes=peak_memory(),
        peak_memory_kind=memory_kind(),
        environment={**environment(), **task.environment()},
        created=now(),
    )


def _mean_of(rows: Iterable[Mapping[str, Any]], column: str) -> float | None:
    """Return the mean over all outputs; None where nothing was generated, or not counted."""
    counts = [count for row in rows for count in row.get(column, ())]
    return round(mean(counts), 3) if counts else None

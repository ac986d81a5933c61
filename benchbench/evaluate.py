"""Engine + checkpoints + tasks -> results.

All missing samples of all checkpoints and tasks go to the engine in one call, so that it can mix
them; each is scored and written as it finishes, and a result is written when its last one is in.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from benchbench import stats
from benchbench.engines import Completion, Engine, Request
from benchbench.hardware import environment
from benchbench.plan import TaskSplit
from benchbench.prompt import Prompt, Renderer
from benchbench.record import (
    Checkpoint,
    GroupScore,
    Parity,
    PluginOrigin,
    ResultSpec,
    RunRecord,
    Score,
    TaskResult,
)
from benchbench.store import Store
from benchbench.task import Sample, Task

SAMPLE = "sample"
"""The kind of group of a task without clusters: every sample is its own."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One checkpoint to score on one task."""

    run: RunRecord
    checkpoint: Checkpoint
    split: TaskSplit
    prompts: Sequence[Prompt]
    """One a sample, in order; shared by all checkpoints."""
    spec: ResultSpec
    origin: PluginOrigin


def render(split: TaskSplit, renderer: Renderer) -> list[Prompt]:
    """Render every prompt of a split."""
    return [renderer.prompt(split.task, sample, split.protocol) for sample in split.samples]


def evaluate(
    engine: Engine,
    jobs: Sequence[Job],
    parities: Mapping[str, Parity],
    store: Store,
    progress: Callable[[int], None],
) -> Iterator[TaskResult]:
    """Score the jobs and yield each result when it is in the store.

    ``parities`` holds a run's parity by run id; ``progress`` is told how many samples are done.
    """
    started = time.perf_counter()
    done = [store.read_rows(job.run.run_id, job.spec) for job in jobs]
    requests = list(_requests(jobs, done))
    total = sum(map(len, done))
    progress(total)
    left = {n: _missing(job, done[n]) for n, job in enumerate(jobs)}

    def finish(number: int) -> TaskResult:
        job = jobs[number]
        seconds = time.perf_counter() - started
        result = _result(job, done[number], parities.get(job.run.run_id), store, seconds)
        store.add_result(result)
        return result

    yield from (finish(number) for number, missing in list(left.items()) if not missing)
    for completion in engine.complete(requests):
        number, index = map(int, completion.id.split("/"))
        job = jobs[number]
        row = score_row(job.split.task, job.split.samples[index], job.prompts[index], completion)
        store.add_row(job.run.run_id, job.spec, row)
        done[number][row["id"]] = row
        left[number] -= 1
        total += 1
        progress(total)
        if not left[number]:
            yield finish(number)
    # What the engine did not answer is counted, scores 0, and keeps the result off the boards.
    yield from (finish(number) for number, missing in left.items() if missing)


def score_row(task: Task, sample: Sample, prompt: Prompt, completion: Completion) -> dict[str, Any]:
    """Return what is kept of one sample: raw output, extracted answer, and its scores."""
    answers = [task.extract(text) for text in completion.texts]
    return {
        "id": sample.id,
        "groups": dict(sample.groups),
        "prompt_sha256": prompt_hash(prompt),
        "prompt_tokens": len(prompt.tokens),
        "truncated": prompt.truncated,
        "outputs": list(completion.texts),
        "output_tokens": [len(tokens) for tokens in completion.tokens],
        "finish_reasons": list(completion.finish_reasons),
        "answers": answers,
        "targets": list(sample.targets),
        "scores": dict(task.score(sample, answers)),
    }


def prompt_hash(prompt: Prompt) -> str:
    """Return the first 16 hex digits of the SHA-256 over a prompt's token ids."""
    return hashlib.sha256(" ".join(map(str, prompt.tokens)).encode()).hexdigest()[:16]


def summarise(
    task: Task, samples: Sequence[Sample], scores: Mapping[str, Mapping[str, float]]
) -> tuple[tuple[Score, ...], dict[str, dict[str, GroupScore]]]:
    """Return means with intervals, and means by group; a sample without scores counts as 0."""
    metrics = sorted({m for row in scores.values() for m in row} | {task.metric})
    kinds = sorted({kind for sample in samples for kind in sample.groups})
    kinds += [] if task.cluster else [SAMPLE]
    means: list[Score] = []
    for metric in sorted(metrics, key=lambda m: m != task.metric):
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
            for name, group in sorted(by_metric[task.metric].items())
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


def _requests(jobs: Sequence[Job], done: Sequence[Mapping[str, Any]]) -> Iterator[Request]:
    for number, (job, rows) in enumerate(zip(jobs, done, strict=True)):
        for index, (sample, prompt) in enumerate(zip(job.split.samples, job.prompts, strict=True)):
            if sample.id not in rows:
                yield Request(
                    id=f"{number}/{index}",
                    checkpoint=job.run.run_id,
                    prompt=prompt.tokens,
                    generation=job.split.protocol.generation,
                    seed=index,
                )


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
    scores, groups = summarise(task, samples, {i: row["scores"] for i, row in rows.items()})
    return TaskResult(
        run=job.run.spec,
        spec=job.spec,
        origin=job.origin,
        metric=task.metric,
        cluster=task.cluster or SAMPLE,
        scores=scores,
        groups=groups,
        n=len(samples),
        n_missing=_missing(job, rows),
        n_truncated=sum(row["truncated"] for row in rows.values()),
        route=job.checkpoint.route,
        parity=parity,
        samples_sha256=store.samples_sha256(job.run.run_id, job.spec),
        seconds=round(seconds, 3),
        environment=environment(),
        created=now(),
    )


def now() -> str:
    """Return the time as records write it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

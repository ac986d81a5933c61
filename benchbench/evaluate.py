"""Engine + checkpoints + tasks -> results.

All missing samples of all checkpoints and tasks go to the engine in one call, so that it can mix
them; each is scored and written as it finishes, and a result is written when its last one is in.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import mean
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
    renderer: Renderer
    """Renders what follows an answer, where a task has turns."""
    spec: ResultSpec
    origin: PluginOrigin

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt and what may follow; further turns may fill the context."""
        if type(self.split.task).next_turn is not Task.next_turn:
            return self.renderer.context
        follow = (max(p.max_new_tokens, p.longest_choice + 1) for p in self.prompts)
        return max(len(p.tokens) + most for p, most in zip(self.prompts, follow, strict=True))


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
    progress(sum(map(len, done)))
    left = {n: _missing(job, done[n]) for n, job in enumerate(jobs)}

    def finish(number: int) -> TaskResult:
        job = jobs[number]
        seconds = time.perf_counter() - started
        result = _result(job, done[number], parities.get(job.run.run_id), store, seconds)
        store.add_result(result)
        return result

    yield from (finish(number) for number, missing in list(left.items()) if not missing)
    for number, row in _rows(jobs, _answers(engine, jobs, requests)):
        job = jobs[number]
        store.add_row(job.run.run_id, job.spec, row)
        done[number][row["id"]] = row
        left[number] -= 1
        progress(sum(map(len, done)))
        if not left[number]:
            yield finish(number)
    # What the engine did not answer is counted, scores 0, and keeps the result off the boards.
    yield from (finish(number) for number, missing in left.items() if missing)


Answer = tuple[int, int, list[Completion]]
"""Number of a job, index of a sample, and its completions, one a turn."""


def _answers(engine: Engine, jobs: Sequence[Job], requests: list[Request]) -> Iterator[Answer]:
    """Yield each sample's completions when its last turn is in."""
    turns: dict[str, list[Completion]] = {}
    while requests:
        following: list[Request] = []
        asked = {request.id: request for request in requests}
        for completion in engine.complete(requests):
            found = turns.setdefault(completion.id, [])
            found.append(completion)
            number, index = map(int, completion.id.split("/"))
            if further := _next_turn(jobs[number], index, asked[completion.id], found):
                following.append(further)
            else:
                yield number, index, turns.pop(completion.id)
        requests = following


def _next_turn(
    job: Job, index: int, request: Request, found: Sequence[Completion]
) -> Request | None:
    task, sample, protocol = job.split.task, job.split.samples[index], job.split.protocol
    if task.ranked:
        return None
    outputs = [completion.texts[0] for completion in found]
    messages = task.next_turn(sample, protocol, outputs)
    if messages is None:
        return None
    prompt = job.renderer.turn(messages, protocol)
    generation = replace(protocol.generation, max_tokens=prompt.max_new_tokens)
    return replace(request, prompt=prompt.tokens, generation=generation)


def _rows(jobs: Sequence[Job], answers: Iterator[Answer]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Score answers beside the generation of others, as some scores wait for a sandbox."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        scoring: dict[Future[dict[str, Any]], int] = {}
        for number, index, completions in answers:
            job = jobs[number]
            prompt, sample = job.prompts[index], job.split.samples[index]
            future = pool.submit(score_row, job.split.task, sample, prompt, completions)
            scoring[future] = number
            for scored in [future for future in scoring if future.done()]:
                yield scoring.pop(scored), scored.result()
        for scored in as_completed(list(scoring)):
            yield scoring.pop(scored), scored.result()


def score_row(
    task: Task, sample: Sample, prompt: Prompt, completions: Sequence[Completion]
) -> dict[str, Any]:
    """Return what is kept of one sample: raw output, extracted answer, and its scores.

    There is one completion, or one a turn.
    """
    row: dict[str, Any] = {
        "id": sample.id,
        "groups": dict(sample.groups),
        "prompt_sha256": prompt_hash(prompt),
        "prompt_tokens": len(prompt.tokens),
        "truncated": prompt.truncated,
        "targets": list(sample.targets),
    }
    if task.ranked:
        logprobs = completions[0].choices
        scores = task.score_choices(sample, logprobs)
        return row | {"choices": list(logprobs), "scores": dict(scores)}
    outputs = [text for completion in completions for text in completion.texts]
    tokens = [each for completion in completions for each in completion.tokens]
    answers = [task.extract(text) for text in outputs]
    return row | {
        "outputs": outputs,
        "output_tokens": [len(each) for each in tokens],
        "unique_tokens": [len(set(each)) for each in tokens],
        "finish_reasons": [r for completion in completions for r in completion.finish_reasons],
        "answers": answers,
        "scores": {} if task.judged else dict(task.score(sample, answers)),
    }


def prompt_hash(prompt: Prompt) -> str:
    """Return the first 16 hex digits of the SHA-256 over a prompt's token ids."""
    return hashlib.sha256(" ".join(map(str, prompt.tokens)).encode()).hexdigest()[:16]


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


def _requests(jobs: Sequence[Job], done: Sequence[Mapping[str, Any]]) -> Iterator[Request]:
    for number, (job, rows) in enumerate(zip(jobs, done, strict=True)):
        for index, (sample, prompt) in enumerate(zip(job.split.samples, job.prompts, strict=True)):
            if sample.id not in rows:
                yield Request(
                    id=f"{number}/{index}",
                    checkpoint=job.run.run_id,
                    prompt=prompt.tokens,
                    generation=replace(
                        job.split.protocol.generation, max_tokens=prompt.max_new_tokens
                    ),
                    choices=prompt.choices,
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
    found = {name: row["scores"] for name, row in rows.items()}
    scores, groups = ((), {}) if task.judged else means_of(job.split, found)
    return TaskResult(
        run=job.run.spec,
        spec=job.spec,
        origin=job.origin,
        metric=job.split.metric,
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
        environment={**environment(), **task.environment()},
        created=now(),
    )


def _mean_of(rows: Iterable[Mapping[str, Any]], column: str) -> float | None:
    """Return the mean over all outputs; None where nothing was generated, or not counted."""
    counts = [count for row in rows for count in row.get(column, ())]
    return round(mean(counts), 3) if counts else None


def now() -> str:
    """Return the time as records write it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

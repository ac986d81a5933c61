"""From requests to scored rows: one a sample, whatever its task is asked and however it scores."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

from benchbench.engines.engine import Completion, Engine, Request
from benchbench.errors import BenchbenchError, described
from benchbench.evaluate.jobs import Job, prompt_hash
from benchbench.models.prompt import Prompt


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an engine answered to one sample."""

    number: int
    """Of the job."""
    index: int
    """Of the sample."""
    completions: Sequence[Completion]
    """One, or one a turn."""
    truncated: bool
    """Whether the prompt of any turn was cut."""


def answers_to(
    engine: Engine, jobs: Sequence[Job], requests: list[Request], tell: Callable[[str], None]
) -> Iterator[Answer]:
    """Yield each sample's completions when its last turn is in."""
    turns: dict[str, list[Completion]] = {}
    cut: set[str] = set()
    while requests:
        following: list[Request] = []
        asked = {request.id: request for request in requests}
        for completion in engine.complete(requests):
            name = completion.id
            found = turns.setdefault(name, [])
            found.append(completion)
            number, index = map(int, name.split("/"))
            job = jobs[number]
            try:
                prompt = _next_turn(job, index, found)
            except Exception as error:  # a stranger's task may raise anything
                tell(_unscored(job, index, error))
                continue
            if prompt is None:
                truncated = job.prompts[index].truncated or name in cut
                yield Answer(
                    number=number, index=index, completions=turns.pop(name), truncated=truncated
                )
                continue
            cut |= {name} if prompt.truncated else set()
            generation = replace(asked[name].generation, max_tokens=prompt.max_new_tokens)
            following.append(replace(asked[name], prompt=prompt.tokens, generation=generation))
        requests = following


def _next_turn(job: Job, index: int, found: Sequence[Completion]) -> Prompt | None:
    task, protocol = job.split.task, job.split.protocol
    if task.ranked:
        return None
    outputs = [completion.texts[0] for completion in found]
    messages = task.next_turn(job.split.samples[index], protocol, outputs)
    return None if messages is None else job.renderer.turn(messages, protocol)


def scored_rows(
    jobs: Sequence[Job], answers: Iterator[Answer], tell: Callable[[str], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Score answers beside the generation of others, as some scores wait for a sandbox."""
    scoring: dict[Future[dict[str, Any]], Answer] = {}

    def scored(future: Future[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        answer = scoring.pop(future)
        try:
            yield answer.number, future.result()
        except BenchbenchError:
            raise
        except Exception as error:  # a stranger's task may raise anything
            tell(_unscored(jobs[answer.number], answer.index, error))

    stopped: Exception | None = None
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        try:
            for answer in answers:
                scoring[pool.submit(score_row, jobs[answer.number], answer)] = answer
                for done in [future for future in scoring if future.done()]:
                    yield from scored(done)
        except Exception as error:  # raised again below: what was answered by then is not lost
            stopped = error
        for done in as_completed(list(scoring)):
            yield from scored(done)
        if stopped:
            raise stopped
    finally:
        pool.shutdown(cancel_futures=True)


def _unscored(job: Job, index: int, error: Exception) -> str:
    return (
        f"{job.run.label}: task {job.split.task.name} cannot score sample "
        f"{job.split.samples[index].id!r} ({described(error)}); it counts as missing"
    )


def score_row(job: Job, answer: Answer) -> dict[str, Any]:
    """Return what is kept of one sample: raw output, extracted answer, and its scores.

    Raises ValueError where the scores are not what the task promises, and whatever the task raises.
    """
    sample, prompt = job.split.samples[answer.index], job.prompts[answer.index]
    completions = answer.completions
    row: dict[str, Any] = {
        "id": sample.id,
        "groups": dict(sample.groups),
        "prompt_sha256": prompt_hash(prompt),
        "prompt_tokens": len(prompt.tokens),
        "truncated": answer.truncated,
        "targets": list(sample.targets),
    }
    outputs = [text for completion in completions for text in completion.texts]
    choices = completions[0].choices
    answers, scores = job.split.scored(sample, outputs, choices)
    if job.split.task.ranked:
        return row | {"choices": list(choices), "scores": scores}
    tokens = [each for completion in completions for each in completion.tokens]
    return row | {
        "outputs": outputs,
        "output_tokens": [len(each) for each in tokens],
        "unique_tokens": [len(set(each)) for each in tokens],
        "finish_reasons": [r for completion in completions for r in completion.finish_reasons],
        "answers": answers,
        "scores": scores,
    }

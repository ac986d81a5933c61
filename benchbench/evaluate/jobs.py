"""What is to be scored: checkpoints, each on a task, with prompts and the key of the result."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchbench.contract.task import Task
from benchbench.engines.choice import engine_for
from benchbench.engines.engine import Request
from benchbench.models.base import BaseModel
from benchbench.models.prompt import Prompt, Renderer
from benchbench.plan.plan import Plan
from benchbench.plan.samples import TaskSplit
from benchbench.records.record import Checkpoint, EngineSpec, ResultSpec, RunRecord
from benchbench.records.store import Store
from benchbench.specs import canonical

Wanted = tuple[RunRecord, TaskSplit, ResultSpec]
"""A run, a task, and the key of its result."""

Refused = dict[str, str]
"""Run id -> why its checkpoint is not served."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One checkpoint to score on one task."""

    run: RunRecord
    model: BaseModel
    checkpoint: Checkpoint
    split: TaskSplit
    prompts: Sequence[Prompt]
    """One a sample, in order; shared by all checkpoints."""
    renderer: Renderer
    """Renders what follows an answer, where a task has turns."""
    spec: ResultSpec

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt and what may follow; further turns may fill it all."""
        if type(self.split.task).next_turn is not Task.next_turn:
            return self.renderer.longest
        follow = (max(p.max_new_tokens, p.longest_choice + 1) for p in self.prompts)
        return max(len(p.tokens) + most for p, most in zip(self.prompts, follow, strict=True))


def render(split: TaskSplit, renderer: Renderer) -> list[Prompt]:
    """Render every prompt of a split."""
    return [renderer.prompt(split.task, sample, split.protocol) for sample in split.samples]


def known_rows(job: Job, store: Store) -> dict[str, dict[str, Any]]:
    """Return the finished samples; those of other prompts, of an older task, are asked anew."""
    prompts = {
        sample.id: prompt_hash(prompt)
        for sample, prompt in zip(job.split.samples, job.prompts, strict=True)
    }
    rows = store.read_rows(job.run.run_id, job.spec)
    return {n: row for n, row in rows.items() if row.get("prompt_sha256") == prompts.get(n)}


def requests_of(jobs: Sequence[Job], done: Sequence[Mapping[str, Any]]) -> Iterator[Request]:
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


def prompt_hash(prompt: Prompt) -> str:
    """Return the first 16 hex digits of the SHA-256 over a prompt's token ids."""
    return hashlib.sha256(" ".join(map(str, prompt.tokens)).encode()).hexdigest()[:16]


def jobs_of(
    missing: Sequence[Wanted], checkpoints: Mapping[str, Checkpoint], plan: Plan
) -> list[Job]:
    """Return the jobs of what is wanted and has a checkpoint; prompts are rendered once a task."""
    renderer = Renderer.of(plan.model)
    servable = [wanted for wanted in missing if wanted[0].run_id in checkpoints]
    splits = {canonical(split.spec): split for _, split, _ in servable}
    prompts = {key: render(split, renderer) for key, split in splits.items()}
    return [
        Job(
            run=record,
            model=plan.model,
            checkpoint=checkpoints[record.run_id],
            split=split,
            prompts=prompts[canonical(split.spec)],
            renderer=renderer,
            spec=spec,
        )
        for record, split, spec in servable
    ]


def result_spec(split: TaskSplit, engine: EngineSpec, record: RunRecord) -> ResultSpec:
    """Say what a result of this run on this task depends on."""
    artefact = record.artefact
    return ResultSpec(
        task=split.spec,
        data=split.data,
        engine=engine_for(artefact.route, engine) if artefact else engine,
        checkpoint=artefact.sha256 if artefact else "",
    )

"""What a run would do: requests, tokens, and what the store has already. Writes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from benchbench.contract.task import Generation
from benchbench.engines.choice import choose_engine, engine_spec
from benchbench.evaluate.jobs import render, result_spec
from benchbench.judge.opening import find_judge
from benchbench.machine import precision
from benchbench.models.prompt import Prompt, Renderer
from benchbench.plan.plan import PlannedRun, make_plan
from benchbench.plan.samples import TaskSplit
from benchbench.records.record import EngineSpec, RunRecord
from benchbench.records.store import Snapshot
from benchbench.registry.registry import Registry
from benchbench.run.request import RunRequest
from benchbench.specs import canonical
from benchbench.train.memory import estimate_all

TO_DO = "to do"
IN_STORE = "in store"


def preview(request: RunRequest, registry: Registry) -> list[dict[str, Any]]:
    """Return a row for each run and task of a request."""
    plan = make_plan(request.grid, registry, request.data_root, precision())
    judge = find_judge(request.judge, [split.task for split in plan.tests], registry.models)
    name, _ = choose_engine(request.engine, plan.model)
    engine = engine_spec(name, precision())
    renderer = Renderer.of(plan.model)
    prompts = {
        canonical(split.spec): [*render(split, renderer), *further_turns(split, renderer)]
        for split in plan.tests
    }
    known = request.store.read()
    estimates = estimate_all(plan)
    # What training took in the end, by ``Cost.peak_memory_kind``.
    used = {run.run_id: run.cost.peak_memory_bytes for run in known.runs.values() if run.cost}
    return [
        _row(run, known, split, engine)
        | {
            "label": run.label,
            "train_on": run.spec.train.task.label if run.spec.train else "",
            "train_samples": len(plan.training.samples) if plan.training and run.spec.train else 0,
            "memory": asdict(estimates[run.id]) if run.id in estimates else None,
            "used_memory_bytes": used.get(run.id),
            **_tokens(split.protocol.generation, prompts[canonical(split.spec)]),
            # In both orders; answers that look the same, or that it knows, are not asked about.
            "most_judge_requests": 2 * len(split.samples) if judge and split.task.judged else 0,
        }
        for run in plan.runs
        for split in plan.tests
    ]


def _tokens(generation: Generation, prompts: Sequence[Prompt]) -> dict[str, int]:
    """Count what the engine reads and may generate; a choice that is ranked is read."""
    new = sum(prompt.max_new_tokens for prompt in prompts if not prompt.choices)
    return {
        "requests": len(prompts),
        "prompt_tokens": sum(len(prompt.tokens) for prompt in prompts),
        "most_new_tokens": new * generation.n,
    }


def further_turns(split: TaskSplit, renderer: Renderer) -> Iterator[Prompt]:
    """Yield the prompts that follow the first answers, as they are where all answers are empty."""
    for sample in split.samples:
        outputs = [""]
        try:
            while messages := split.task.next_turn(sample, split.protocol, outputs):
                yield renderer.turn(messages, split.protocol)
                outputs.append("")
        except Exception:  # a stranger's task may raise anything; the run tells of it
            continue


def _row(run: PlannedRun, known: Snapshot, split: TaskSplit, engine: EngineSpec) -> dict[str, Any]:
    spec, record = run.spec, known.runs.get(run.id)
    trained, evaluated = _states(record, split, engine, known)
    return {
        "run_id": run.id,
        "method": spec.method.name,
        "params": dict(spec.method.params),
        "seed": spec.seed,
        "train": trained,
        "task": split.spec.label,
        "evaluate": evaluated,
        "data": split.data.source,
        "engine": engine.name,
    }


def _states(
    record: RunRecord | None, split: TaskSplit, engine: EngineSpec, known: Snapshot
) -> tuple[str, str]:
    """Say how far the store is with a training, and with its evaluation."""
    if record is None:
        return TO_DO, TO_DO
    if record.status != "done":
        return record.status, "not possible"
    found = known.result(record.run_id, result_spec(split, engine, record))
    return IN_STORE, TO_DO if found is None else IN_STORE

"""An artefact served by an engine: is it what was trained?"""

from contextlib import closing
from dataclasses import dataclass

from benchbench.checkpoints.parity import MOST_TOKENS, Reference, check
from benchbench.checkpoints.weights import base_for
from benchbench.contract.task import Generation
from benchbench.engines.choice import open_engine
from benchbench.engines.engine import EngineSettings, Request
from benchbench.errors import CheckpointUnserved
from benchbench.records.record import Checkpoint, Parity, RunRecord
from benchbench.testing.verdict import NotTried
from benchbench.train.job import TrainJob

GREEDY = Generation(max_tokens=8)

PROMPTS = 5
"""Prompts of the parity gate that are completed."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """What an engine made of a checkpoint."""

    parity: Parity
    answers: dict[str, tuple[tuple[int, ...], ...]]
    """Request -> tokens of its greedy completion."""


def serve(name: str, job: TrainJob, outcome: RunRecord) -> Served:
    """Serve a run's checkpoint; NotTried where the engine cannot serve its like."""
    assert outcome.artefact
    checkpoint = Checkpoint(
        run_id=outcome.run_id,
        route=outcome.artefact.route,
        sha256=outcome.artefact.sha256,
        folder=job.checkpoint,
    )
    reference = Reference.read(job.folder / "parity.json")
    model = base_for(checkpoint, job.base, job.folder)
    settings = EngineSettings(
        model=model, precision="float32", max_tokens=MOST_TOKENS + GREEDY.max_tokens
    )
    with closing(open_engine(name, settings, [checkpoint])) as engine:
        try:
            engine.load([checkpoint])
        except CheckpointUnserved as error:
            raise NotTried(str(error)) from error
        served = engine.logprobs(checkpoint.run_id, reference.prompts)
        parity = check(served, reference, checkpoint.route, engine.spec.dtype)
        requests = [
            Request(
                id=str(n),
                checkpoint=checkpoint.run_id,
                prompt=tuple(prompt),
                generation=GREEDY,
            )
            for n, prompt in enumerate(reference.prompts[:PROMPTS])
        ]
        answers = {answer.id: answer.tokens for answer in engine.complete(requests)}
    return Served(parity=parity, answers=answers)

"""Keeps the weights that score best on validation samples, as the study does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from benchbench import machine
from benchbench.engines.engine import Completion, Request
from benchbench.engines.text import Decoder
from benchbench.engines.transformers.generation import generate
from benchbench.errors import CheckpointOverflow, DataError
from benchbench.machine import Meter
from benchbench.models.prompt import Prompt, Renderer
from benchbench.plan.samples import TaskSplit, read_split
from benchbench.records.record import Selection
from benchbench.registry.registry import Registry
from benchbench.specs import Precision
from benchbench.train import group
from benchbench.train.job import TrainJob
from benchbench.train.recorder import Diverged, Recorder
from benchbench.train.resume import step_of, write_state

LIVE = "live"
"""Stands for the checkpoint in requests: it is the model that is being trained."""

BATCH = 32
"""Prompts that are answered at once."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Held-out samples, rendered."""

    split: TaskSplit
    prompts: Sequence[Prompt]
    decoder: Decoder
    precision: Precision

    @classmethod
    def of(cls, job: TrainJob, registry: Registry) -> "Validation | None":
        """Read what a run chooses its checkpoint by; None where it keeps its last weights."""
        train = job.spec.train
        if train is None or train.validation is None:
            return None
        spec = replace(train.task, split="validation")
        split = read_split(registry, spec, job.data_root)
        if split.data.digest != train.validation.data.digest:
            raise DataError(
                f"the validation samples of {spec.name!r} changed while the command ran; run again."
            )
        renderer = Renderer.of(job.base)
        prompts = [renderer.prompt(split.task, each, split.protocol) for each in split.samples]
        return cls(
            split=split,
            prompts=prompts,
            decoder=Decoder.of(job.base),
            precision=job.spec.precision,
        )

    def score(self, model: Any) -> float:
        """Return the mean of the primary metric over the samples, generated as training computes.

        Random numbers and the model's mode are left as they were.
        """
        training = model.training
        model.eval()
        try:
            with machine.autocast(self.precision):
                own = self._requests()
                if not group.is_sharded(model):  # else all compute every layer together
                    own = own[group.rank() :: group.size()]
                completions = list(generate(model, own, self.decoder, BATCH))
        finally:
            model.train(training)
        found: dict[int, float] = {}
        for part in group.gather({int(each.id): self._score(each) for each in completions}):
            found |= part
        return fmean(found[number] for number in sorted(found))

    def _score(self, completion: Completion) -> float:
        sample = self.split.samples[int(completion.id)]
        _, scores = self.split.scored(sample, completion.texts, completion.choices)
        return scores[self.split.metric]

    def _requests(self) -> list[Request]:
        generation = self.split.protocol.generation
        return [
            Request(
                id=str(number),
                checkpoint=LIVE,
                prompt=prompt.tokens,
                generation=replace(generation, max_tokens=prompt.max_new_tokens),
                choices=prompt.choices,
                seed=number,
            )
            for number, prompt in enumerate(self.prompts)
        ]


@dataclass
class Selector:
    """Scores a model under way; the best weights lie beside the training's checkpoints."""

    validation: Validation
    recorder: Recorder
    work: Path
    evaluations: int

    @property
    def steps(self) -> frozenset[int]:
        """Return the steps after which the model is scored: the last one always."""
        total, wanted = self.recorder.steps, self.evaluations
        return frozenset(math.ceil(n * total / wanted) for n in range(1, wanted + 1))

    def begin(self, model: Any) -> None:
        """Score the untrained model, unless that was done before a resume."""
        if 0 not in self.recorder.scores():
            self._score(model, 0)

    def evaluate(self, model: Any, step: int) -> float:
        """Score a model after a step, and keep its weights if there were no better ones."""
        score = self._score(model, step)
        if self.best() == step:
            # The best until now stays until a checkpoint makes sure that nobody goes back to it.
            write_state(model, self._weights(step))
        return score

    def best(self, until: float = math.inf) -> int | None:
        """Return the step with the best score up to a step, the first of equals."""
        scores = {n: score for n, score in self.recorder.scores().items() if 0 < n <= until}
        return min(scores, key=lambda n: (-scores[n], n), default=None)

    def holds_best(self, until: int) -> bool:
        """Whether the best weights up to a step are there, if any were scored until then."""
        best = self.best(until)
        return best is None or self._weights(best).exists()

    def tidy(self) -> None:
        """Delete weights that are no longer the best; called once a checkpoint is written."""
        for path in self.work.glob("best-*.safetensors") if group.rank() == 0 else ():
            if step_of(path) != self.best():
                path.unlink()

    @property
    def best_weights(self) -> Path:
        """Return the file of the weights that score best."""
        return self._weights(self.choose().step)

    def choose(self) -> Selection:
        """Return what is kept, and why."""
        best, scores = self.best(), self.recorder.scores()
        assert best is not None
        return Selection(step=best, score=scores[best], curve=scores)

    def _score(self, model: Any, step: int) -> float:
        meter = Meter()
        meter.start()
        try:
            score = self.validation.score(model)
        except CheckpointOverflow as error:
            message = f"validation computed no numbers after step {step}"
            raise Diverged(message, step, self.recorder.instabilities()) from error
        meter.stop()
        self.recorder.write_score(step, score, meter)
        return score

    def _weights(self, step: int) -> Path:
        return self.work / f"best-{step}.safetensors"

"""Keeps the weights that score best on validation samples, as the study does."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.errors import CheckpointOverflow
from benchbench.records.record import Selection
from benchbench.train import group
from benchbench.train.checkpoints import step_of, write_state
from benchbench.train.recorder import Diverged, Recorder
from benchbench.train.validation import Validation


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
        self.recorder.evaluation.start()
        score = self._score(model, step)
        self.recorder.evaluation.stop()
        if self.best == step:
            # The best until now stays until a checkpoint makes sure that nobody goes back to it.
            write_state(model, self._weights(step))
        return score

    @property
    def best(self) -> int | None:
        """Return the step with the best score, the first of equals."""
        scores = {step: score for step, score in self.recorder.scores().items() if step}
        return min(scores, key=lambda step: (-scores[step], step), default=None)

    def holds_best(self, step: int) -> bool:
        """Whether the best weights up to a step are there, if any were scored until then."""
        scores = {n: score for n, score in self.recorder.scores().items() if 0 < n <= step}
        best = min(scores, key=lambda n: (-scores[n], n), default=None)
        return best is None or self._weights(best).exists()

    def tidy(self) -> None:
        """Delete weights that are no longer the best; called once a checkpoint is written."""
        for path in self.work.glob("best-*.safetensors") if group.rank() == 0 else ():
            if step_of(path) != self.best:
                path.unlink()

    @property
    def best_weights(self) -> Path:
        """Return the file of the weights that score best."""
        assert self.best is not None
        return self._weights(self.best)

    def choose(self) -> Selection:
        """Return what is kept, and why."""
        best, scores = self.best, self.recorder.scores()
        assert best is not None
        return Selection(step=best, score=scores[best], curve=scores)

    def _score(self, model: Any, step: int) -> float:
        started = time.perf_counter()
        try:
            score = self.validation.score(model)
        except CheckpointOverflow as error:
            message = f"validation computed no numbers after step {step}"
            raise Diverged(message, step, self.recorder.instabilities()) from error
        self.recorder.write_score(step, score, time.perf_counter() - started)
        return score

    def _weights(self, step: int) -> Path:
        return self.work / f"best-{step}.safetensors"

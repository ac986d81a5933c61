"""Scores a model in training on samples that are held out from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from benchbench import machine
from benchbench.engines.engine import Completion, Request
from benchbench.engines.text import Decoder
from benchbench.engines.transformers.generation import generate
from benchbench.errors import DataError
from benchbench.models.prompt import Prompt, Renderer
from benchbench.plan import TaskSplit, read_split
from benchbench.registry.registry import Registry
from benchbench.specs import Precision
from benchbench.train import group, sharding
from benchbench.train.job import TrainJob

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
        renderer = Renderer.of(job.model)
        prompts = [renderer.prompt(split.task, each, split.protocol) for each in split.samples]
        return cls(
            split=split,
            prompts=prompts,
            decoder=Decoder.of(job.model),
            precision=job.spec.precision,
        )

    def score(self, model: Any) -> float:
        """Return the mean of the primary metric over the samples, generated as training computes.

        Random numbers and the model's mode are left as they were.
        """
        import torch

        training = model.training
        model.eval()
        try:
            with torch.autocast(
                machine.device(), torch.bfloat16, enabled=self.precision == "bfloat16"
            ):
                own = self._requests()
                if not sharding.is_sharded(model):  # else all compute every layer together
                    own = own[group.rank() :: group.size()]
                completions = list(generate(model, own, self.decoder, BATCH))
        finally:
            model.train(training)
        scores = {int(each.id): self._score(each) for each in completions}
        found = {number: score for part in group.gather(scores) for number, score in part.items()}
        return fmean(found[number] for number in sorted(found))

    def _score(self, completion: Completion) -> float:
        task, sample = self.split.task, self.split.samples[int(completion.id)]
        if task.ranked:
            return task.score_choices(sample, completion.choices)[self.split.metric]
        answers = [task.extract(text) for text in completion.texts]
        return task.score(sample, answers)[self.split.metric]

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

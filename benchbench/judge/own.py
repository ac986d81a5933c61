"""A judge in process: a base model in an engine of ours, its labels ranked by likelihood."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchbench.contract.task import Generation, Message
from benchbench.engines.engine import Engine, Request
from benchbench.judge.comparison import LABELS, WORDING_SHA256
from benchbench.judge.judge import Question
from benchbench.judge.kept import Answer
from benchbench.records.record import JudgeSpec
from benchbench.specs import ModelSpec

Tokens = tuple[int, ...]
Render = Callable[[Sequence[Message], Sequence[str]], tuple[Tokens, Sequence[Tokens]]]
"""Returns the tokens of a conversation up to the answer, and of each answer that may follow."""


@dataclass(frozen=True, kw_only=True)
class EngineJudge:
    """Ranks the labels after each prompt, exactly: nothing is generated."""

    engine: Engine
    checkpoint: str
    """Run id of the loaded checkpoint that judges."""
    model: ModelSpec
    render: Render
    longest: int
    """Tokens that prompt and label may have together."""

    @property
    def spec(self) -> JudgeSpec:
        engine = self.engine.spec
        return JudgeSpec(
            model=self.model.name,
            revision=self.model.revision,
            served_by=f"{engine.name} {engine.version} {engine.dtype} {engine.device}",
            wording=WORDING_SHA256,
        )

    def ask(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """Yield answers as they come; a prompt that is too long for the judge has none."""
        requests = []
        for question in questions:
            message = Message(role="user", content=question.prompt)
            prompt, choices = self.render([message], LABELS)
            request = Request(
                id=question.key,
                checkpoint=self.checkpoint,
                prompt=prompt,
                generation=Generation(max_tokens=1),
                choices=tuple(choices),
            )
            if request.length > self.longest:
                yield Answer(
                    question.key,
                    error=f"the prompt has {len(prompt)} tokens, and the judge takes "
                    f"{self.longest - request.length + len(prompt)}: it needs a longer context",
                )
                continue
            requests.append(request)
        for completion in self.engine.complete(requests):
            first, second = (ln if math.isfinite(ln) else None for ln in completion.choices)
            yield Answer(completion.id, (first, second))

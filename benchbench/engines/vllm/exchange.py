"""What vLLM is asked for one request, and how its answers become a completion.

A completion takes one question. Choices of one token each take one too: their log-probabilities
are those of the next token. Longer choices take one each, and the first goes ahead, so that the
others find the prompt in the prefix cache.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchbench.engines.engine import Completion, Request, is_next_token, samples
from benchbench.engines.text import Decoder
from benchbench.engines.vllm.calls import Output

Prompted = Callable[[Sequence[int]], Any]
"""Turns token ids into a prompt for vLLM, with what a checkpoint has learned before them."""

CACHED = "skip_reading_prefix_cache"
"""vLLM's name for not reading what is cached, as it does where prompt log-probabilities are wanted
and nothing is said."""


ONE: Mapping[str, Any] = {"temperature": 0.0, "max_tokens": 1, "detokenize": False}
"""Sampling of what is not asked for its completion; vLLM always generates something."""

PROMPT: Mapping[str, Any] = {**ONE, "prompt_logprobs": 0}
"""Asks for the log-probabilities of the prompt's tokens."""


class Question(NamedTuple):
    """One request to vLLM."""

    number: int
    prompt: Any
    sampling: Mapping[str, Any]


class Exchange:
    """A request under way."""

    def __init__(self, request: Request, prompted: Prompted, learned: int, ends: tuple[int, ...]):
        self.request = request
        self._context = learned + len(request.prompt)
        self._answers: dict[int, Sequence[Output]] = {}
        self._questions = _questions(request, prompted, ends)

    def first(self) -> Question:
        return self._questions[0]

    def answer(self, question: Question, outputs: Sequence[Output]) -> list[Question]:
        """Take an answer and return what is to be asked next."""
        if CACHED in question.sampling and outputs[0].cached >= self._context:
            # vLLM knows no log-probabilities of what it had cached, and some of that is the choice.
            rest = {key: value for key, value in question.sampling.items() if key != CACHED}
            return [question._replace(sampling=rest)]
        self._answers[question.number] = outputs
        return self._questions[1:] if question.number == 0 else []

    @property
    def is_done(self) -> bool:
        return len(self._answers) == len(self._questions)

    def completion(self, decoder: Decoder) -> Completion:
        """Return what was answered to all questions."""
        request = self.request
        if request.choices:
            return Completion(id=request.id, choices=self._logprobs())
        outputs = self._answers[0]
        rows = [output.tokens for output in outputs] * (request.generation.n // len(outputs))
        return decoder.completion(request.id, rows, request.generation)

    def _logprobs(self) -> tuple[float, ...]:
        choices = self.request.choices
        if is_next_token(choices):
            return tuple(self._answers[0][0].candidates[token] for (token,) in choices)
        # From the end, as not every vLLM lists what it had cached.
        return tuple(
            math.fsum(self._answers[number][0].prompt[-len(choice) :])
            for number, choice in enumerate(choices)
        )


def kind(request: Request) -> str:
    """Return what a batch must not mix: vLLM 0.32 gives a row its neighbours' log-probabilities
    where some of a batch ask for those of given tokens."""
    if not request.choices:
        return "generate"
    return "next" if is_next_token(request.choices) else "prompt"


def has_nan(outputs: Sequence[Output]) -> bool:
    return any(
        math.isnan(value)
        for output in outputs
        for value in (*output.logprobs, *output.prompt, *output.candidates.values())
    )


def _questions(request: Request, prompted: Prompted, ends: tuple[int, ...]) -> list[Question]:
    if not request.choices:
        return [Question(0, prompted(request.prompt), _sampling(request, ends))]
    if is_next_token(request.choices):
        tokens = sorted({token for (token,) in request.choices})
        return [Question(0, prompted(request.prompt), {**ONE, "logprob_token_ids": tokens})]
    wanted = {**PROMPT, CACHED: False}
    return [
        Question(number, prompted((*request.prompt, *choice)), wanted)
        for number, choice in enumerate(request.choices)
    ]


def _sampling(request: Request, ends: tuple[int, ...]) -> dict[str, Any]:
    """Return a request's sampling as vLLM's SamplingParams takes it."""
    generation = request.generation
    return {
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "max_tokens": generation.max_tokens,
        "n": samples(request),
        "stop": list(generation.stop) or None,
        # The text is decoded by us, by one tokenizer for both engines; vLLM's is for its stops.
        "detokenize": bool(generation.stop),
        "stop_token_ids": list(ends),
        "seed": request.seed if generation.temperature > 0 else None,
        # Of the chosen tokens: a NaN here is how an overflow shows.
        "logprobs": 0,
    }

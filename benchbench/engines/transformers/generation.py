"""Answers of any transformers model to a batch of requests: of the engine's, or of one in training.

What is computed for a request depends on it alone: neither on its neighbours nor on what a model's
folder would like to be generated.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchbench.checkpoints.format import Format, Untuned
from benchbench.checkpoints.learned import Prefix, of_peft
from benchbench.engines.engine import Completion, Request, is_next_token, overflow, samples
from benchbench.engines.text import Decoder
from benchbench.engines.transformers.rows import Row, Rows
from benchbench.models.logprobs import answer_logprobs, next_logprobs, pad, start_token


def generate(
    model: Any,
    requests: Sequence[Request],
    decoder: Decoder,
    batch_size: int,
    content: Format | None = None,
) -> Iterator[Completion]:
    """Yield completions of a model in evaluation mode, requests of like length together.

    Ranked requests come first. ``model`` may be PEFT's; ``content`` is on it, and what that learned
    stands before every prompt.
    All requests are of one checkpoint; if that computes NaN, CheckpointOverflow names it.
    """
    model, content = _taken_apart(model, content)
    ranked = [request for request in requests if request.choices]
    generated = [request for request in requests if not request.choices]
    for request in ranked:
        yield _rank(model, request, content)
    for batch in _batches(sorted(generated, key=lambda r: len(r.prompt)), batch_size):
        rows = _generate(model, batch, decoder, content)
        if any(row.is_nan for row in rows):
            raise overflow(batch[0].checkpoint)
        for request in batch:
            own = [row.tokens for row in rows if row.request is request]
            own *= request.generation.n // len(own)
            yield decoder.completion(request.id, own, request.generation)


def _taken_apart(model: Any, content: Format | None) -> tuple[Any, Format]:
    """Part a PEFT model from the prompt it learned: PEFT's own generation forgets the positions
    of a batch's padded rows."""
    config = getattr(model, "active_peft_config", None)
    if config is None or not config.is_prompt_learning:
        return model, content or Untuned()
    return model.get_base_model(), of_peft(model)


def _rank(model: Any, request: Request, content: Format) -> Completion:
    """Compute each choice by itself, without padding; the next token's together."""
    prompt, choices, inputs = request.prompt, request.choices, content.inputs(model)
    if is_next_token(choices):
        last = next_logprobs(model, prompt, inputs=inputs)[-1].tolist()
        found = [last[token] for (token,) in choices]
    else:
        found = [math.fsum(answer_logprobs(model, prompt, choice, inputs)) for choice in choices]
    if any(map(math.isnan, found)):
        raise overflow(request.checkpoint)
    return Completion(id=request.id, choices=tuple(found))


def _batches(requests: Sequence[Request], most: int) -> Iterator[list[Request]]:
    """Split requests into batches of at most so many rows, or of one request."""
    batch: list[Request] = []
    for request in requests:
        if batch and sum(map(samples, [*batch, request])) > most:
            yield batch
            batch = []
        batch.append(request)
    if batch:
        yield batch


def _generate(
    model: Any, requests: Sequence[Request], decoder: Decoder, content: Format
) -> list[Row]:
    import torch
    from transformers import GenerationConfig

    continued = not model.config.is_encoder_decoder
    rows = [Row(request, n, continued) for request in requests for n in range(samples(request))]
    batch = Rows(rows, decoder)
    build: Any = GenerationConfig
    with torch.no_grad(), _plain(model):
        model.generate(
            **_arguments(model, [row.request.prompt for row in rows], content),
            generation_config=build(
                do_sample=False,
                max_new_tokens=max(row.request.generation.max_tokens for row in rows),
                pad_token_id=decoder.ends[0],
                decoder_start_token_id=None if continued else start_token(model.config),
            ),
            logits_processor=[batch.choose],
            stopping_criteria=[batch.finished],
        )
    return rows


def _arguments(model: Any, prompts: Sequence[Sequence[int]], content: Format) -> dict[str, Any]:
    import torch

    ids, mask = pad(prompts, model)
    arguments = content.before(model, ids, mask)
    if isinstance(content, Prefix) and not model.config.is_encoder_decoder:
        # ``generate`` leaves out as many ids of the prompt as the cache holds tokens.
        left_out = ids.new_zeros((len(ids), content.tokens))
        arguments["input_ids"] = torch.cat([left_out, ids], 1)
    return arguments


@contextmanager
def _plain(model: Any) -> Iterator[None]:
    """Forget for a while what the model's folder says of generation, such as a repetition penalty:
    what a request leaves open would be filled in from it, and vLLM is told to ignore it too."""
    from transformers import GenerationConfig

    network = model.get_base_model() if hasattr(model, "get_base_model") else model
    own, empty = network.generation_config, GenerationConfig
    network.generation_config = empty()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        network.generation_config = own

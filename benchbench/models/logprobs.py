"""Log-probabilities that a transformers model gives to tokens."""

from collections.abc import Callable, Sequence
from typing import Any

Inputs = Callable[[Any], dict[str, Any]]
"""Turns a prompt's ids [1, tokens] into a model's arguments."""


def token_logprobs(
    model: Any,
    prompts: Sequence[Sequence[int]],
    inputs: Inputs = lambda ids: {"input_ids": ids},
) -> list[list[float]]:
    """Return ln p(token | tokens before) under a transformers model, one prompt at a time.

    Of an encoder-decoder model the encoder reads the first half of a prompt, and the tokens of the
    second are what is scored. Unpadded, so that not even the reference depends on how padding is
    handled. ``inputs`` turns a prompt's ids [1, tokens] into the model's arguments.
    """
    encoded = model.config.is_encoder_decoder
    cuts = [(tokens, (len(tokens) + 1) // 2 if encoded else 1) for tokens in prompts]
    return [answer_logprobs(model, tokens[:cut], tokens[cut:], inputs) for tokens, cut in cuts]


def answer_logprobs(
    model: Any,
    prompt: Sequence[int],
    answer: Sequence[int],
    inputs: Inputs = lambda ids: {"input_ids": ids},
) -> list[float]:
    """Return ln p(token | prompt and tokens before) for each token of an answer."""
    import torch

    logprobs = next_logprobs(model, prompt, answer, inputs)[:-1]
    following = torch.tensor(list(answer), dtype=torch.long, device=logprobs.device)[:, None]
    found: list[float] = logprobs.gather(1, following)[:, 0].tolist()
    return found


def next_logprobs(
    model: Any,
    prompt: Sequence[int],
    answer: Sequence[int] = (),
    inputs: Inputs = lambda ids: {"input_ids": ids},
) -> Any:
    """Return ln p(next token) after a prompt and after each token of an answer.

    A tensor [tokens of the answer and one, vocabulary].
    """
    import torch

    if model.config.is_encoder_decoder:
        arguments = inputs(torch.tensor([list(prompt)], device=model.device))
        written = [[start_token(model.config), *answer]]
        arguments["decoder_input_ids"] = torch.tensor(written, device=model.device)
    else:
        arguments = inputs(torch.tensor([[*prompt, *answer]], device=model.device))
    with torch.no_grad():
        logits = model(**arguments, use_cache=False).logits[0]
    # Before these stand those of the prompt, and a learned prompt may have logits of its own.
    return torch.log_softmax(logits[len(logits) - len(answer) - 1 :].float(), -1)


def start_token(config: Any) -> int:
    """Return the token that an encoder-decoder model's decoder begins with."""
    found = getattr(config, "decoder_start_token_id", None)
    return int(config.pad_token_id if found is None else found)


def pad(prompts: Sequence[Sequence[int]], model: Any) -> tuple[Any, Any]:
    """Return the ids and the mask [rows, tokens] of prompts, on the model's device.

    Padding goes before a prompt that is continued, and after one that an encoder reads.
    """
    import torch

    width = max(map(len, prompts))
    ids = torch.zeros((len(prompts), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        start = 0 if model.config.is_encoder_decoder else width - len(prompt)
        ids[row, start : start + len(prompt)] = torch.tensor(prompt)
        mask[row, start : start + len(prompt)] = 1
    return ids.to(model.device), mask.to(model.device)

"""What vLLM hands back is read for what it is."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from benchbench.engines.vllm.calls import _read
from benchbench.engines.vllm.exchange import has_nan

TOKENS = [5, 6, 7, 8, 9]


def answered(logprobs: list[float], cached: int) -> Any:
    """A request as vLLM returns it: of the first token nobody knows a log-probability."""
    positions = [
        {token: SimpleNamespace(logprob=value)}
        for token, value in zip(TOKENS[1:], logprobs, strict=True)
    ]
    return SimpleNamespace(
        prompt_token_ids=TOKENS, prompt_logprobs=[None, *positions], num_cached_tokens=cached
    )


SAMPLE = SimpleNamespace(token_ids=[1], logprobs=None)


def test_every_token_but_the_first_has_a_log_probability() -> None:
    assert _read(answered([-1.0, -2.0, -3.0, -4.0], 0), SAMPLE).prompt == (-1.0, -2.0, -3.0, -4.0)


@pytest.mark.parametrize("garbage", [math.nan, -123.0])
def test_what_stands_where_tokens_were_cached_is_no_log_probability(garbage: float) -> None:
    """vLLM does not compute those, and leaves there what the memory held before."""
    found = _read(answered([garbage, garbage, -3.0, -4.0], 2), SAMPLE)
    assert found.prompt == (-3.0, -4.0)
    assert not has_nan([found])


def test_a_nan_that_was_computed_is_seen() -> None:
    assert has_nan([_read(answered([-1.0, -2.0, math.nan, -4.0], 2), SAMPLE)])


def test_what_leaves_the_cached_part_out_is_read_alike() -> None:
    request = answered([-1.0, -2.0, -3.0, -4.0], 2)
    request.prompt_logprobs = request.prompt_logprobs[3:]
    assert _read(request, SAMPLE).prompt == (-3.0, -4.0)

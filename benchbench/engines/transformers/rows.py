"""A batch under way in the transformers engine: which token each row gets next, and when it ends.

``generate`` computes; what is sampled and what stops a row is said here, row by row, so that a
completion does not depend on its neighbours and a model folder's own defaults change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchbench.engines.engine import Request
from benchbench.engines.text import Decoder, first_stop

NO_TEXT = "Invalid prefix encountered"
"""What a DecodeStream says to bytes that are no text; it can only be started anew."""


@dataclass
class Row:
    """One completion that is being generated."""

    request: Request
    number: int
    """Which of the request's ``n``; each has a seed of its own, as in vLLM."""
    continued: bool = True
    """Whether it goes on with the prompt's text; an encoder-decoder model begins anew."""
    tokens: list[int] = field(default_factory=list)
    done: bool = False
    is_nan: bool = False
    _text: str = ""
    _stream: Any = None
    _random: Any = None

    def choose(self, logits: Any) -> Any:
        """Return the scores whose largest is the next token: of a sample, with its noise added."""
        import torch

        generation = self.request.generation
        self.is_nan |= bool(logits.isnan().any())
        if generation.temperature == 0 or self.done:
            return logits
        logits = _nucleus(logits / generation.temperature, generation.top_p)
        if self._random is None:
            self._random = torch.Generator().manual_seed(self.request.seed + self.number)
        # The largest of logits with Gumbel noise is distributed as a draw from their softmax.
        noise = torch.empty(logits.shape).exponential_(generator=self._random).log()
        return logits - noise.to(logits)

    def add(self, token: int, decoder: Decoder) -> None:
        """Take a generated token and see whether it ends the row."""
        generation = self.request.generation
        self.tokens.append(token)
        ended = token in decoder.ends or len(self.tokens) == generation.max_tokens
        self.done = ended or (bool(generation.stop) and self._stops(token, decoder))

    def _stops(self, token: int, decoder: Decoder) -> bool:
        """Decode as vLLM does, token by token, and look for a stop text in what is new."""
        from tokenizers.decoders import DecodeStream

        if self._stream is None:
            before = list(self.request.prompt) if self.continued else []
            self._stream = DecodeStream(ids=before, skip_special_tokens=True)
        try:
            new = self._stream.step(decoder.tokenizer.backend_tokenizer, token)
        except Exception as error:  # the library has no class of its own for it
            if not str(error).startswith(NO_TEXT):
                raise
            self._stream = DecodeStream(skip_special_tokens=True)
            new = self._stream.step(decoder.tokenizer.backend_tokenizer, token)
        longest = max(map(len, self.request.generation.stop))
        self._text = self._text[-longest:] + (new or "")
        return first_stop(self._text, self.request.generation.stop) is not None


@dataclass(frozen=True)
class Rows:
    """The rows of one call of ``generate``."""

    rows: Sequence[Row]
    decoder: Decoder

    def choose(self, ids: Any, logits: Any) -> Any:
        """Be a logits processor."""
        import torch

        return torch.stack([row.choose(own) for row, own in zip(self.rows, logits, strict=True)])

    def finished(self, ids: Any, scores: Any, **_: Any) -> Any:
        """Be a stopping criterion: take the newest tokens and say which rows are done."""
        import torch

        for row, token in zip(self.rows, ids[:, -1].tolist(), strict=True):
            if not row.done:
                row.add(token, self.decoder)
        return torch.tensor([row.done for row in self.rows], device=ids.device)


def _nucleus(logits: Any, share: float) -> Any:
    """Leave out all but the likeliest tokens that make up this share (top-p)."""
    if share >= 1:
        return logits
    ordered, places = logits.sort(descending=True)
    probabilities = ordered.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    return logits.scatter(0, places, ordered.masked_fill(before >= share, float("-inf")))

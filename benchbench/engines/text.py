"""From token ids to text: the one place, so that no engine's own decoding makes a difference."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.engines import Completion
from benchbench.task import Generation


@dataclass(frozen=True)
class Decoder:
    """Decodes for one model. A completion ends at the tokenizer's end-of-sequence token."""

    tokenizer: Any

    @classmethod
    def of(cls, model: Path) -> "Decoder":
        from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(model, local_files_only=True))

    @property
    def end(self) -> int:
        end: int = self.tokenizer.eos_token_id
        return end

    def completion(
        self, request: str, rows: Iterable[Sequence[int]], generation: Generation
    ) -> Completion:
        """Read what an engine generated for a request; what follows an end is padding."""
        tokens = tuple(self._until_end(row) for row in rows)
        texts = [self.tokenizer.decode(list(row), skip_special_tokens=True) for row in tokens]
        stops = [[p for s in generation.stop if (p := text.find(s)) >= 0] for text in texts]
        return Completion(
            id=request,
            texts=tuple(
                t[: min(places)] if places else t for t, places in zip(texts, stops, strict=True)
            ),
            tokens=tokens,
            finish_reasons=tuple(
                "stop" if places or self.end in row else "length"
                for row, places in zip(tokens, stops, strict=True)
            ),
        )

    def _until_end(self, tokens: Sequence[int]) -> tuple[int, ...]:
        tokens = tuple(tokens)
        return tokens[: tokens.index(self.end) + 1] if self.end in tokens else tokens

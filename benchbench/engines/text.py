"""From token ids to text: the one place, so that no engine's own decoding makes a difference."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.contract.task import Generation
from benchbench.engines.engine import Completion
from benchbench.errors import ModelError, reading
from benchbench.models.base import BaseModel


@dataclass(frozen=True)
class Decoder:
    """Decodes for one model."""

    tokenizer: Any
    ends: tuple[int, ...]
    """Tokens that end a completion: the tokenizer's end of sequence and those that the folder's
    generation_config.json adds (a chat model's end of turn). Nothing else of that file counts."""

    @classmethod
    def of(cls, model: BaseModel) -> "Decoder":
        ends = {model.tokenizer.eos_token_id, *_more_ends(model.folder)} - {None}
        return cls(model.tokenizer, tuple(sorted(ends)))

    def completion(
        self, request: str, rows: Iterable[Sequence[int]], generation: Generation
    ) -> Completion:
        """Read what an engine generated for a request, down to what ended it."""
        tokens = tuple(tuple(row) for row in rows)
        texts = [
            self.tokenizer.decode(self._words(row), skip_special_tokens=True) for row in tokens
        ]
        cut = [first_stop(text, generation.stop) for text in texts]
        return Completion(
            id=request,
            texts=tuple(text[:place] for text, place in zip(texts, cut, strict=True)),
            tokens=tokens,
            finish_reasons=tuple(
                "stop" if place is not None or row[-1:] in self._lasts else "length"
                for row, place in zip(tokens, cut, strict=True)
            ),
        )

    @property
    def _lasts(self) -> set[tuple[int, ...]]:
        return {(end,) for end in self.ends}

    def _words(self, row: tuple[int, ...]) -> list[int]:
        """Leave out the end, which need not be a special token."""
        return list(row[:-1] if row[-1:] in self._lasts else row)


def first_stop(text: str, stops: Iterable[str]) -> int | None:
    """Return where the stop text begins that is complete first, or None."""
    found = [(place + len(stop), place) for stop in stops if (place := text.find(stop)) >= 0]
    return min(found)[1] if found else None


def _more_ends(folder: Path) -> list[Any]:
    path = folder / "generation_config.json"
    if not path.exists():
        return []
    with reading(repr(str(path)), ModelError, "mend or delete that file"):
        found = json.loads(path.read_text()).get("eos_token_id")
    return found if isinstance(found, list) else [found]

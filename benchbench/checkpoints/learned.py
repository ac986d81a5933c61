"""Learned prompts: embeddings before a prompt's own, or keys and values before its own.

Both are of any length and belong to nothing but the base model's sizes. Formats, checks, and how a
transformers model is given them; left padding goes before a soft prompt, as a sliding window counts
it, and after a prefix. In an encoder-decoder model embeddings stand before those that the encoder
reads, and keys and values before those of the decoder's self-attention, as in PEFT.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.checkpoints.format import Format
from benchbench.errors import CheckpointError
from benchbench.models.architecture import Architecture
from benchbench.models.base import BaseModel
from benchbench.models.files import finite_tensors, refuse_others, write_tensors
from benchbench.models.prompt import room
from benchbench.records.record import Checkpoint

SOFT_PROMPT = "soft_prompt.safetensors"
"""Holds ``embeddings`` [tokens, hidden]."""

PREFIX = "prefix.safetensors"
"""Holds ``keys`` and ``values`` [layers, heads, tokens, size of a head], without positions."""


@dataclass(frozen=True)
class SoftPrompt(Format):
    """Embeddings [tokens, hidden] that stand before those of every prompt."""

    embeddings: Any

    @classmethod
    def read(cls, folder: Path, base: BaseModel) -> "SoftPrompt":
        return cls(*_read(folder, SOFT_PROMPT, ("embeddings",), (None, base.architecture.hidden)))

    @property
    def tokens(self) -> int:
        return int(self.embeddings.shape[0])

    def write(self, folder: Path) -> None:
        write_tensors(folder / SOFT_PROMPT, {"embeddings": self.embeddings})

    def before(self, model: Any, ids: Any, mask: Any) -> dict[str, Any]:
        import torch

        own = self.embeddings.to(model.device, model.dtype)
        embedded = model.get_input_embeddings()(ids)
        starts = mask.argmax(1).tolist()  # where padding ends, if it goes before a prompt
        rows = [
            torch.cat([row[:start], own, row[start:]])
            for row, start in zip(embedded, starts, strict=True)
        ]
        # Padding is on one side, and so are the ones that the mask gets.
        seen = mask.new_ones((len(ids), len(own)))
        masks = [seen, mask] if model.config.is_encoder_decoder else [mask, seen]
        return {"inputs_embeds": torch.stack(rows), "attention_mask": torch.cat(masks, 1)}


@dataclass(frozen=True)
class Prefix(Format):
    """Keys and values [layers, heads, tokens, size of a head] before those of every prompt."""

    keys: Any
    values: Any

    @classmethod
    def read(cls, folder: Path, base: BaseModel) -> "Prefix":
        layers, heads, size = base.architecture.cache
        return cls(*_read(folder, PREFIX, ("keys", "values"), (layers, heads, None, size)))

    @property
    def tokens(self) -> int:
        return int(self.keys.shape[2])

    def write(self, folder: Path) -> None:
        write_tensors(folder / PREFIX, {"keys": self.keys, "values": self.values})

    def before(self, model: Any, ids: Any, mask: Any) -> dict[str, Any]:
        import torch
        from transformers import DynamicCache, EncoderDecoderCache

        layers = [
            tuple(t.to(model.device, model.dtype).expand(len(ids), -1, -1, -1) for t in layer)
            for layer in zip(self.keys, self.values, strict=True)
        ]
        build: Any = DynamicCache
        if model.config.is_encoder_decoder:
            cache = EncoderDecoderCache(build(layers), build())
            return {"input_ids": ids, "attention_mask": mask, "past_key_values": cache}
        seen = mask.new_ones((len(ids), self.tokens))
        return {
            "input_ids": ids,
            "attention_mask": torch.cat([seen, mask], 1),
            "past_key_values": build(layers),
        }


def of_peft(model: Any) -> SoftPrompt | Prefix:
    """Return what a PEFT model of a prompt learning type puts before every prompt now."""
    import torch

    with torch.no_grad():
        learned = model.get_prompt(batch_size=1)
    if isinstance(learned, torch.Tensor):  # for encoder and decoder, of which PEFT uses the first
        return SoftPrompt(learned[0, : model.active_peft_config.num_virtual_tokens])
    cache = getattr(learned, "self_attention_cache", learned)
    keys, values = ([getattr(x, side)[0] for x in cache.layers] for side in ("keys", "values"))
    return Prefix(torch.stack(keys), torch.stack(values))


def check_length(checkpoint: Checkpoint, learned: int, longest: int, base: Architecture) -> None:
    """Refuse learned tokens that leave no room for so many of prompt and completion."""
    if not base.context or not learned:
        return
    if base.encoder_decoder:  # where prompt and completion take no room from one another
        longest = min(longest, room(base.context))
    if learned + longest > base.context:
        raise CheckpointError(
            f"run {checkpoint.run_id} learned {learned} tokens, which do not fit before {longest} "
            f"of prompt and completion into the base model's context of {base.context}; learn "
            "fewer."
        )


def _read(
    folder: Path, file: str, names: Sequence[str], wanted: tuple[int | None, ...]
) -> list[Any]:
    """Return tensors of one shape, in which None stands for the tokens."""
    refuse_others(folder)
    path = folder / file
    if not path.is_file():
        raise CheckpointError(f"{str(folder)!r} holds no {file}; run again to train it.")
    found = dict(finite_tensors(path))
    if sorted(found) != sorted(names):
        raise CheckpointError(
            f"{str(path)!r} holds {', '.join(sorted(found)) or 'nothing'}; it must hold "
            f"{' and '.join(names)}."
        )
    free = wanted.index(None)
    for name, tensor in found.items():
        shape = tuple(tensor.shape)
        fits = (*shape[:free], None, *shape[free + 1 :]) == wanted
        if not fits or shape != found[names[0]].shape or 0 in shape:
            allowed = (*wanted[:free], "tokens", *wanted[free + 1 :])
            raise CheckpointError(
                f"{name} in {str(path)!r} has the shape {shape}; this base model needs {allowed}. "
                "It is of another base model."
            )
    return [found[name] for name in names]

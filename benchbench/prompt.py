"""Turns a sample into token ids: the one place, for training and evaluation alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from benchbench.errors import ModelError
from benchbench.task import Message, Protocol, Sample, Task


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A rendered prompt."""

    tokens: tuple[int, ...]
    truncated: bool
    """Whether it was cut to the token limit."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A prompt with the completion to learn, end-of-sequence token included."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]


@dataclass(frozen=True)
class Renderer:
    """Renders for one model: its tokenizer, its chat template, its context length."""

    tokenizer: Any
    context: int
    """Longest sequence the model takes, in tokens."""

    @classmethod
    def of(cls, model: Path) -> "Renderer":
        """Read tokenizer and context length from a model's folder."""
        from transformers import AutoConfig, AutoTokenizer

        try:
            config = AutoConfig.from_pretrained(model, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
        except Exception as error:  # broken files fail in as many ways as there are formats
            text = " ".join(str(error).split())[:200]
            raise ModelError(
                f"the tokenizer of {model.name!r} cannot be read ({type(error).__name__}: {text}); "
                "fetch or save the model again."
            ) from error
        if tokenizer.eos_token_id is None:
            raise ModelError(
                f"the tokenizer of {model.name!r} has no end-of-sequence token, so completions "
                "could not end; set eos_token in its tokenizer_config.json."
            )
        return cls(tokenizer, getattr(config, "max_position_embeddings", None) or 2048)

    def prompt(self, task: Task, sample: Sample, protocol: Protocol) -> Prompt:
        """Render a sample's prompt within the protocol's limit and the model's context."""
        limit = self.prompt_limit(protocol)

        def fits(text: str) -> bool:
            return len(self._encode([Message(role="user", content=text)], protocol)) <= limit

        tokens = self._encode(task.prompt(sample, protocol, fits), protocol)
        truncated = len(tokens) > limit
        if truncated:
            tokens = tokens[:limit] if protocol.cut == "right" else tokens[-limit:]
        return Prompt(tokens=tuple(tokens), truncated=truncated)

    def example(self, task: Task, sample: Sample, protocol: Protocol) -> Example:
        """Render a training sample; the reference is drawn by the sample's id, not by the run."""
        text = task.target(sample, Random(sample.id))
        tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        tokens = [*tokens[: protocol.generation.max_tokens - 1], self.tokenizer.eos_token_id]
        return Example(prompt=self.prompt(task, sample, protocol).tokens, completion=tuple(tokens))

    def prompt_limit(self, protocol: Protocol) -> int:
        """Return the longest prompt, in tokens, that leaves room for the completion."""
        room = self.context - protocol.generation.max_tokens
        if room < 1:
            raise ModelError(
                f"the model takes {self.context} tokens and the protocol generates "
                f"{protocol.generation.max_tokens}, which leaves no room for a prompt; choose a "
                "model with a longer context."
            )
        return min(room, protocol.max_prompt_tokens or room)

    def _encode(self, messages: Sequence[Message], protocol: Protocol) -> list[int]:
        if protocol.chat:
            return self._encode_chat(messages)
        tokens = self._tokenize("".join(m.content for m in messages))
        # Some tokenizers end every text; a prompt must stay open for its completion.
        return tokens[:-1] if tokens and tokens[-1] == self.tokenizer.eos_token_id else tokens

    @lru_cache(maxsize=1)  # noqa: B019 - one entry; `fits` and the prompt itself ask for one text
    def _tokenize(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer(text)["input_ids"]
        return tokens

    def _encode_chat(self, messages: Sequence[Message]) -> list[int]:
        if not self.tokenizer.chat_template:
            raise ModelError(
                "the model's tokenizer has no chat template and the protocol needs one; choose a "
                "protocol without chat, or add a chat_template to its tokenizer_config.json."
            )
        text = self.tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in messages],
            tokenize=False,
            add_generation_prompt=True,
        )
        # The template writes the special tokens itself.
        tokens: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

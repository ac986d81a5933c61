"""Requests and answers of the FLAN collection (arXiv 2301.13688), and of T0 (arXiv 2110.08207).

Tülu v1 took 100,000 samples of FLAN v2, and 50,000 each of FLAN's chains of thought without and
with examples, already written as requests. FLAN's own repository has the chains of thought as
tables of question, answer and rationale, a file for each of nine data sets, GSM8K's training
questions among them.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchbench import Data, Sample, Task, hookimpl
from benchbench.data import DataError, Row, read_rows, read_text
from benchbench_tasks.corpus import Corpus

END = "<|endoftext|>"
"""What ends every answer in the published files of T0."""
Pair = tuple[str, str, str]
"""Id, request and answer."""


class Written(Row):
    """A row of a file whose requests are written already."""

    request: str
    answer: str


class Requests(Corpus):
    """What the corpora have in common: one request and one answer, learned as they are."""

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        for name, request, answer in self.pairs(data.folder):
            yield Sample(id=name, input=request.strip(), targets=(answer.strip(),))

    @abstractmethod
    def pairs(self, folder: Path) -> Iterator[Pair]:
        """Yield requests and answers."""


@dataclass(frozen=True, kw_only=True)
class FlanV2(Requests):
    """100,000 samples of the FLAN v2 collection, as drawn for Tülu v1 (arXiv 2301.13688)."""

    name = "flan-v2"
    source = "https://arxiv.org/abs/2301.13688"
    data_set = "flan-v2"
    how_to_get = (
        "put tulu_v1_resampled_flan_100k.jsonl (or its .gz), which scripts/prepare_train_data.sh "
        "of https://github.com/allenai/open-instruct gets, into {folder}"
    )

    def pairs(self, folder: Path) -> Iterator[Pair]:
        return written(folder / "tulu_v1_resampled_flan_100k.jsonl", "inputs", "targets")


@dataclass(frozen=True, kw_only=True)
class ChainOfThought(Requests):
    """FLAN's chains of thought, written as requests without and with examples for Tülu v1."""

    name = "cot"
    source = "https://arxiv.org/abs/2301.13688"
    data_set = "cot"
    how_to_get = (
        "put cot_zsopt.jsonl and cot_fsopt.jsonl (or their .gz), which "
        "scripts/prepare_train_data.sh of https://github.com/allenai/open-instruct gets, into "
        "{folder}"
    )

    examples: Literal["any", "without", "with"] = "any"
    """Requests without examples, with them, or ``any``."""

    def pairs(self, folder: Path) -> Iterator[Pair]:
        if self.examples != "with":
            yield from written(folder / "cot_zsopt.jsonl", "inputs", "targets")
        if self.examples != "without":
            yield from written(folder / "cot_fsopt.jsonl", "inputs", "targets")


@dataclass(frozen=True, kw_only=True)
class FlanRationales(Requests):
    """FLAN's tables of questions, rationales and answers, with a request of our own."""

    name = "flan-rationales"
    source = "https://github.com/google-research/FLAN/tree/main/flan/v2/cot_data"
    data_set = "flan-rationales"
    how_to_get = (
        "put *_train.tsv (or *_train.tsv.gz) of "
        "https://github.com/google-research/FLAN/tree/main/flan/v2/cot_data into {folder}"
    )

    def pairs(self, folder: Path) -> Iterator[Pair]:
        for path in found(folder, "*_train.tsv"):
            # Not splitlines: a question may hold U+2028 as it stands; its new lines are escaped.
            for i, line in enumerate(read_text(path).rstrip("\n").split("\n")):
                columns = line.replace("\\n", "\n").split("\t", 2)
                if len(columns) < 3:
                    raise DataError(
                        f"line {i + 1} of {path} has {len(columns)} columns; it must have 3: "
                        "question, answer, rationale."
                    )
                question, answer, rationale = columns
                request = f"{question}\nGive the rationale before the answer."
                yield f"{path.stem}/{i}", request, f"{rationale}\nSo the answer is {answer}."


@dataclass(frozen=True, kw_only=True)
class T0(Requests):
    """Samples of T0's training tasks, as published with Self-Instruct (arXiv 2110.08207)."""

    name = "t0"
    source = "https://arxiv.org/abs/2110.08207"
    data_set = "t0"
    how_to_get = (
        "put *.jsonl (or *.jsonl.gz) of https://github.com/yizhongw/self-instruct/tree/main/"
        "data/finetuning/t0_train_50k/data_per_template into {folder}"
    )

    def pairs(self, folder: Path) -> Iterator[Pair]:
        for path in found(folder, "*.jsonl"):
            for name, request, answer in written(path, "prompt", "completion"):
                yield name, request, answer.removesuffix(END)


def found(folder: Path, pattern: str) -> list[Path]:
    """Return the files of one name or more that fit a pattern, zipped or not."""
    paths = [*folder.glob(pattern), *folder.glob(f"{pattern}.gz")]
    names = sorted({path.name.removesuffix(".gz") for path in paths})
    if not names:
        raise DataError(f"{folder} has no {pattern}; get the data set again.")
    return [folder / name for name in names]


def written(path: Path, request: str, answer: str) -> Iterator[Pair]:
    """Yield the requests and answers of a file of JSON lines, under these keys."""
    for i, row in enumerate(read_rows(path, Written, request=request, answer=answer)):
        yield f"{path.stem}/{i}", row.request, row.answer


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [FlanV2, ChainOfThought, FlanRationales, T0]

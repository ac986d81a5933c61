"""TruthfulQA as released: counts, what guessing scores, and answers as its script splits them."""

import csv
import os
from pathlib import Path
from statistics import fmean

import pytest

from benchbench import Data, Sample
from benchbench_tasks.truthfulqa import TruthfulQA

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "truthfulqa"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no truthfulqa in {ROOT}; set BENCHBENCH_TEST_DATA to a data root"
)


def read(revision: str) -> list[Sample]:
    data = Data(name="truthfulqa", folder=FOLDER, source="folder")
    return list(TruthfulQA(revision=revision).samples("test", data))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("revision", "count", "mc1", "mc2"),
    [("2021", 817, 0.2225, 0.4641), ("2025", 790, 0.2235, 0.4684)],
)
def test_counts_and_what_guessing_scores(revision: str, count: int, mc1: float, mc2: float) -> None:
    samples = read(revision)
    assert len(samples) == len({s.id for s in samples}) == count
    assert fmean(1 / len(s.context["mc1"]) for s in samples) == pytest.approx(mc1, abs=0.0001)
    alike = [TruthfulQA().score_choices(s, [-5.0] * len(s.choices))["mc2"] for s in samples]
    assert fmean(alike) == pytest.approx(mc2, abs=0.0001)
    if revision == "2021":
        assert fmean(alike) == pytest.approx(TruthfulQA.chance, abs=0.001)


def split(answers: str) -> set[str]:
    parts = (part.strip() for part in answers.split(";"))
    return {part if part.endswith(".") else f"{part}." for part in parts if part}


def test_answers_are_those_of_the_table_but_for_three_questions() -> None:
    with (FOLDER / "TruthfulQA.csv").open(encoding="utf-8-sig", newline="") as file:
        table = {row["Question"]: row for row in csv.DictReader(file)}
    other = []
    for sample in read("2021"):
        row = table.get(sample.input, {"Correct Answers": "", "Incorrect Answers": ""})
        every = split(row["Correct Answers"]) | split(row["Incorrect Answers"])
        if split(row["Correct Answers"]) != {*sample.targets} or every != {
            choice[1:] for choice in sample.choices
        }:
            other.append(sample.input)
    assert len(other) == 3

"""IFEval as released: counts, and the released verdicts on the released answers of GPT-4.

The repository that the verdicts are from edited one of the 541 prompts, so it has no verdict here.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from benchbench import Data, Sample
from benchbench.data.read import read_jsonl
from benchbench_tasks.ifeval import IFEval, loosened, verdicts
from benchbench_tasks.ifeval.instructions import INSTRUCTIONS

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "ifeval"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no ifeval in {ROOT}; set BENCHBENCH_TEST_DATA to a data root"
)

RANDOM = {"1122": 1, "1129": 0}
"""Prompt -> place of an instruction to count "#" or "!". The script of the released verdicts took a
random letter for what is no letter; the script of today, and ours, count the sign."""


@pytest.fixture(scope="module")
def samples() -> dict[str, Sample]:
    data = Data(name="ifeval", folder=FOLDER, source="folder")
    return {sample.input: sample for sample in IFEval().samples("test", data)}


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    rows = read_jsonl(FOLDER / "input_response_data_gpt4_20231107_145030.jsonl")
    return {row["prompt"]: row["response"] for row in rows}


def released(kind: str) -> dict[str, dict[str, Any]]:
    rows = read_jsonl(FOLDER / f"gpt4_eval_results_{kind}.jsonl")
    return {row["prompt"]: row for row in rows}


def test_counts(samples: dict[str, Sample]) -> None:
    assert len(samples) == len({sample.id for sample in samples.values()}) == 541
    names = [name for sample in samples.values() for name in sample.targets]
    assert len(names) == 834
    assert set(names) == set(INSTRUCTIONS)


@pytest.mark.parametrize(
    ("kind", "prompts", "instructions"), [("strict", 415, 695), ("loose", 431, 713)]
)
def test_verdicts_are_the_released_ones_but_where_those_are_random(
    samples: dict[str, Sample],
    answers: dict[str, str],
    kind: str,
    prompts: int,
    instructions: int,
) -> None:
    rows = released(kind)
    theirs, ours = {}, {}
    for prompt, row in rows.items():
        sample, answer = samples[prompt], answers[prompt]
        assert hashlib.sha1(answer.encode()).hexdigest() == row["response_sha1"]
        variants = [answer] if kind == "strict" else loosened(answer)
        theirs[sample.id] = row["follow_instruction_list"]
        ours[sample.id] = verdicts(sample.context["instructions"], variants)
    assert len(theirs) == 540
    assert sum(map(len, theirs.values())) == 832
    assert sum(map(all, theirs.values())) == prompts
    assert sum(map(sum, theirs.values())) == instructions
    for key, place in RANDOM.items():
        if kind == "strict":
            assert (theirs[key][place], ours[key][place]) == (False, True)
        theirs[key][place] = ours[key][place]
    assert ours == theirs
    # So in strict figures there are two more of each.
    more = len(RANDOM) if kind == "strict" else 0
    assert sum(map(all, ours.values())) == prompts + more
    assert sum(map(sum, ours.values())) == instructions + more


def test_scores_are_the_verdicts_by_prompt(
    samples: dict[str, Sample], answers: dict[str, str]
) -> None:
    task = IFEval()
    prompts = released("strict")
    scores = [task.score(samples[each], [task.extract(answers[each])]) for each in prompts]
    assert sum(each["prompt_strict"] for each in scores) == 417
    assert sum(each["prompt_loose"] for each in scores) == 431
    # The published mean is over instructions, 697 of 832 or 0.8377; this one is over prompts.
    assert sum(each["instruction_strict"] for each in scores) / 540 == pytest.approx(
        0.8451, abs=1e-4
    )

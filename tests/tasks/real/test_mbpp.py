"""MBPP as released: counts, the published solutions, and that nothing passes without a program."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchbench import Data, Sample
from benchbench_tasks.mbpp import MBPP

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "mbpp"
DATA = Data(name="mbpp", folder=FOLDER, source="folder")

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no mbpp in {ROOT}; set BENCHBENCH_TEST_DATA to a data root"
)


def read(split: str, sanitized: bool = False) -> list[Sample]:
    return list(MBPP(sanitized=sanitized).samples(split, DATA))


def passed(samples: list[Sample], completions: list[str]) -> list[bool]:
    def judge(sample: Sample, completion: str) -> bool:
        return MBPP().score(sample, [completion])["pass@1"] == 1.0

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(judge, samples, completions))


@pytest.mark.parametrize(
    ("split", "sanitized", "count"),
    [("test", False, 500), ("train", False, 374), ("test", True, 257), ("train", True, 120)],
)
def test_all_published_solutions_pass_and_no_empty_completion(
    split: str, sanitized: bool, count: int
) -> None:
    samples = read(split, sanitized)
    assert len({each.id for each in samples}) == len(samples) == count
    assert all(passed(samples, [each.targets[0] for each in samples]))
    assert not any(passed(samples, [""] * count))


def test_every_prompt_shows_the_three_published_examples() -> None:
    (message,) = MBPP().prompt(read("test")[0], MBPP.protocols["full"], lambda _: True)
    names = ("similar_elements", "is_not_prime", "heap_queue_largest")
    places = [message.content.index(f"def {name}(") for name in names]
    assert places == sorted(places)
    assert message.content.count("[BEGIN]\n") == 4
    assert message.content.count("\n[DONE]\n\n") == 3
    assert "\r" not in message.content


def test_released_samples_of_wizardcoder_33b_can_be_run() -> None:
    # They have no verdicts: what is shown is that most of a good model's answers pass.
    with (FOLDER / "T0.0_N1_MBPP_wizardcoder33b_v1.1.jsonl").open(encoding="utf-8") as file:
        rows = {row["task_id"].lower(): row["completion"] for row in map(json.loads, file)}
    samples = [each for each in read("test", sanitized=True) if each.id in rows]
    assert len(samples) == 239
    verdicts = passed(samples, [rows[each.id] for each in samples])
    assert 0.7 < sum(verdicts) / len(verdicts) < 0.9

"""MT-bench as released, and GPT-4's published ratings of QLoRA's Vicuna evaluation."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from benchbench import Data
from benchbench.judge.preferences import win_rate
from benchbench_tasks.mt_bench import MTBench
from tests.toys.reviews import classed, over_orders

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "mt_bench"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no mt_bench in {ROOT}; set BENCHBENCH_TEST_DATA to a data root"
)


def test_questions() -> None:
    data = Data(name="mt_bench", folder=FOLDER, source="folder")
    samples = list(MTBench().samples("test", data))
    assert [each.id for each in samples] == [str(n) for n in range(81, 161)]
    assert set(Counter(each.groups["category"] for each in samples).values()) == {10}
    assert {len(each.context["turns"]) for each in samples} == {2}
    solved = Counter(s.groups["category"] for s in samples if "solution" in s.context)
    assert solved == {"math": 10, "reasoning": 10, "coding": 10}


Review = tuple[str, int]
"""Text, and the class that was read from it when it was released; -1 for none."""


def reviews() -> dict[tuple[str, str], dict[int, Review]]:
    """Return the released reviews by (first, second) and question."""
    found = {}
    for path in sorted((FOLDER / "qlora_vicuna_eval" / "ratings-gpt4").glob("*.jsonl.gz")):
        first, second = path.name.partition("-gpt-4-reviewer")[0].split("-vs-")
        rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        found[first, second] = {r["question_id"]: (r["text"], int(r["score"])) for r in rows}
    return found


def test_every_released_class_is_read_as_it_was() -> None:
    """Four of 1,280 end in a sentence where a number was asked for; so they are released, as -1."""
    found = [each for rows in reviews().values() for each in rows.values()]
    assert len(found) == 16 * 80
    read = Counter((classed(text), score) for text, score in found)
    assert read == {(1.0, 1): 742, (0.0, 2): 380, (0.5, 3): 154, (None, -1): 4}


VICUNA, GUANACO = "answer-vicuna-13b", "13b-guanaco-vicuna-generations-topp0.9-temp0.7"


def test_both_orders_make_up_for_the_place() -> None:
    """GPT-4 prefers what comes first; over both orders nobody gains by it.

    13B Guanaco is preferred to Vicuna in 65 % where it comes first and 45 % over both orders.
    """
    found = reviews()
    both = [pair for pair in found if pair[::-1] in found]
    assert len(both) == 14
    read = [classed(text) for pair in both for text, _ in found[pair].values()]
    shown_first = [each for each in read if each is not None]
    assert win_rate(shown_first).value == pytest.approx(0.6187, abs=1e-4)
    orders = [
        (classed(text), classed(found[VICUNA, GUANACO][number][0]))
        for number, (text, _) in found[GUANACO, VICUNA].items()
    ]
    preferences = [each for order in orders if (each := over_orders(*order)) is not None]
    assert len(preferences) == 80
    assert win_rate([first for first, _ in orders if first is not None]).value == 0.65
    assert win_rate(preferences).value == 0.45

"""MMLU as released: counts, and prompts as the published rule makes them."""

import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from benchbench import Data, Sample
from benchbench_tasks.mmlu import MMLU

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "mmlu"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no mmlu in {ROOT}; set BENCHBENCH_TEST_DATA to a data root"
)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(MMLU().samples("test", Data(name="mmlu", folder=FOLDER, source="folder")))


def test_counts(samples: list[Sample]) -> None:
    assert len(samples) == len({s.id for s in samples}) == 14_042
    shots = {s.groups["subject"]: len(s.context["shots"]) for s in samples}
    assert len(shots) == 57
    assert sum(shots.values()) == 285
    # lm-evaluation-harness counts the 135 of anatomy as STEM, the release (health) as other.
    assert Counter(s.groups["category"] for s in samples) == {
        "STEM": 3153 - 135,
        "humanities": 4705,
        "social sciences": 3077,
        "other": 3107 + 135,
    }


def rows(split: str, subject: str) -> list[list[str]]:
    with (FOLDER / "data" / split / f"{subject}_{split}.csv").open(encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("place", [0, 3_000, 7_021, 14_041])
def test_prompts_follow_the_published_rule(samples: list[Sample], place: int) -> None:
    sample = samples[place]
    subject, _, number = sample.id.partition("/")
    # The steps of the release: a space before every word of the subject, then line by line.
    name = "".join(f" {word}" for word in subject.split("_"))
    text = f"The following are multiple choice questions (with answers) about {name}.\n\n"
    for question, *rest in [*rows("dev", subject), rows("test", subject)[int(number)]]:
        text += question
        for letter, option in zip("ABCD", rest, strict=False):
            text += f"\n{letter}. {option}"
        text += "\nAnswer:"
        text += f" {rest[4]}\n\n"
    text = text[: -len(" A\n\n")]
    for protocol in ("5-shot", "open-instruct-5-shot"):
        user, stem = MMLU().prompt(sample, MMLU.protocols[protocol], lambda _: True)
        assert (user.content, stem.content) == (text, "The answer is:")


@pytest.mark.parametrize(("letter", "share"), [(0, 0.2295), (1, 0.2465), (2, 0.2551), (3, 0.2689)])
def test_always_the_same_letter_scores_its_share(
    samples: list[Sample], letter: int, share: float
) -> None:
    logprobs = [-2.0] * 4
    logprobs[letter] = -1.0
    found = [MMLU().score_choices(s, logprobs)["accuracy"] for s in samples]
    assert sum(found) / len(found) == pytest.approx(share, abs=0.0001)

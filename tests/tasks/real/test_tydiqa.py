"""TyDi QA as released, and scores on its own answers, whole and spoilt.

Copies whose test questions have lost their answers (XTREME's) must be refused.
"""

import os
import re
import string
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchbench import Data, Sample
from benchbench.errors import DataError
from benchbench_tasks.tydiqa import LANGUAGES, TyDiQA

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "tydiqa"
DATA = Data(name="tydiqa", folder=FOLDER, source="folder")

# Questions of the test split by language, as published
# (github.com/google-research-datasets/tydiqa, gold passage v1.1).
COUNTS = {
    "arabic": 921, "bengali": 113, "english": 440, "finnish": 782, "indonesian": 565,
    "korean": 276, "russian": 812, "swahili": 499, "telugu": 669,
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no tydiqa in {ROOT}; set BENCHBENCH_TEST_DATA to a data root"
)


def test_test_questions_are_all_there_or_refused_for_want_of_answers() -> None:
    try:
        samples = list(TyDiQA().samples("test", DATA))
    except DataError as error:
        assert re.search(
            r"data\[0\].*: the answer is blank, as in copies whose answers", str(error)
        )
        return
    assert Counter(s.groups["language"] for s in samples) == COUNTS
    assert all(s.targets[0] in s.context["passage"] for s in samples)


@pytest.fixture(scope="module")
def train() -> list[Sample]:
    found = []
    for language in LANGUAGES:
        try:
            found += TyDiQA(languages=language).samples("train", DATA)
        except DataError as error:
            assert f"has no {language}" in str(error)
    if not found:
        pytest.skip(f"no training questions in {FOLDER}")
    return found


def test_answers_lie_in_their_passages(train: list[Sample]) -> None:
    assert len(train) >= 450
    assert len({s.id for s in train}) == len(train)
    assert all(target in s.context["passage"] for s in train for target in s.targets)


def published_scores(answer: str, reference: str) -> Mapping[str, float]:
    """Score as SQuAD's definition reads: words by letter, shared words struck off one by one."""

    def words(text: str) -> list[str]:
        kept = "".join(
            " " if c.isspace() else c for c in text.lower() if c not in string.punctuation
        )
        return [word for word in " ".join(re.split(r"\b(?:a|an|the)\b", kept)).split(" ") if word]

    said, wanted = words(answer), words(reference)
    left = list(wanted)
    shared = [word for word in said if word in left and (left.remove(word) or True)]
    precision = len(shared) / max(len(said), 1)
    recall = len(shared) / max(len(wanted), 1)
    f1 = 2 * precision * recall / (precision + recall) if shared else 0.0
    return {"f1": pytest.approx(f1), "exact_match": float(said == wanted)}


def spoilt(sample: Sample) -> list[str]:
    """Return an answer as it is, and in ways in which models get it wrong."""
    answer, passage = sample.targets[0], sample.context["passage"]
    middle = len(answer) // 2
    start = passage.index(answer)
    return [
        answer,
        f"The {answer.upper()}.",
        answer[:middle],
        f"{answer} {answer}",
        passage[max(0, start - 20) : start + len(answer) + 20],
        " ".join(reversed(answer.split())),
        passage,
        "",
    ]


def test_scores_are_those_of_the_published_definition(train: list[Sample]) -> None:
    task = TyDiQA()
    perfect = Counter()
    for sample in train:
        for number, answer in enumerate(spoilt(sample)):
            found = task.score(sample, [task.extract(answer)])
            assert found == published_scores(answer, sample.targets[0]), (sample.id, answer)
            perfect[number] += found["exact_match"] == 1.0
    assert perfect[0] == len(train)
    assert perfect[7] == 0

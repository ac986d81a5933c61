"""BBH as released: counts, official prompts, and the published accuracies of code-davinci-002."""

import os
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import pytest

from benchbench import Data, Sample
from benchbench.data.read import read_jsonl
from benchbench_tasks.bbh import BBH, SUBSETS

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "bbh"
OUTPUTS = FOLDER / "code-davinci-002-outputs"
SMALLER = {"causal_judgement": 187, "penguins_in_a_table": 146, "snarks": 178}

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no bbh in {ROOT}; set BENCHBENCH_TEST_DATA to a data root"
)

# Accuracy in percent, of the files *_eval_metrics.jsonl in code-davinci-002-outputs of
# suzgunmirac/BIG-Bench-Hard (commit e26f26d). Trap: its dyck_languages counts three answers that
# no full stop ends, which open-instruct's expression does not find.
PUBLISHED = {
    ("cot", "boolean_expressions"): 92.8,
    ("cot", "causal_judgement"): 54.01,
    ("cot", "date_understanding"): 87.2,
    ("cot", "dyck_languages"): 56.8,
    ("cot", "multistep_arithmetic_two"): 47.6,
    ("cot", "web_of_lies"): 95.2,
    ("direct", "boolean_expressions"): 88.4,
    ("direct", "causal_judgement"): 63.64,
    ("direct", "date_understanding"): 63.6,
    ("direct", "dyck_languages"): 46.8,
    ("direct", "multistep_arithmetic_two"): 1.2,
    ("direct", "web_of_lies"): 51.6,
}
WITHOUT_FULL_STOP = {("cot", "dyck_languages"): 3}

# What ignoring punctuation adds, in answers: signs dropped, and brackets of the wrong kind.
FORGIVEN = {
    ("cot", "dyck_languages"): 4,
    ("cot", "multistep_arithmetic_two"): 4,
    ("direct", "dyck_languages"): 28,
    ("direct", "multistep_arithmetic_two"): 2,
}


@pytest.fixture(scope="module")
def subsets() -> Mapping[str, list[Sample]]:
    there = [name for name in SUBSETS if list(FOLDER.glob(f"**/{name}.json*"))]
    data = Data(name="bbh", folder=FOLDER, source="folder")
    samples = list(BBH(subsets="+".join(there)).samples("test", data))
    return {name: [s for s in samples if s.groups["subset"] == name] for name in there}


def test_every_question_is_read(subsets: Mapping[str, list[Sample]]) -> None:
    for name, samples in subsets.items():
        assert len(samples) == SMALLER.get(name, 250)


def test_every_prompt_shows_three_questions(subsets: Mapping[str, list[Sample]]) -> None:
    for samples in subsets.values():
        for protocol in BBH.protocols.values():
            user, _ = BBH().prompt(samples[0], protocol, lambda text: True)
            assert user.content.count("\n\nQ: ") == 4
            assert "canary" not in user.content
            assert user.content.count("\nA: ") == 3


@pytest.mark.parametrize(("kind", "name"), PUBLISHED)
def test_scores_of_released_outputs_are_the_published_ones(
    subsets: Mapping[str, list[Sample]], kind: str, name: str
) -> None:
    path = OUTPUTS / kind / f"{name}.jsonl"
    if not path.with_name(f"{path.name}.gz").exists() or name not in subsets:
        pytest.skip(f"no {path.name} here")
    scores = []
    for sample, row in zip(subsets[name], read_jsonl(path), strict=True):
        assert row["input"].startswith(sample.input)
        assert sample.targets == (row["target"].strip(),)
        scores.append(BBH().score(sample, [BBH().extract(row["prediction"])]))
    strict = sum(score["strict_match"] for score in scores)
    right = strict + WITHOUT_FULL_STOP.get((kind, name), 0)
    assert round(100 * right / len(scores), 2) == PUBLISHED[kind, name]
    forgiven = fmean(score["exact_match"] for score in scores) * len(scores) - strict
    assert round(forgiven) == FORGIVEN.get((kind, name), 0)

"""AlpacaEval as released: published win rates from released judgements, by our statistics."""

import csv
import gzip
import json
import math
import os
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest

from benchbench import Data, Sample
from benchbench.judge.judge import preference
from benchbench.judge.preferences import length_adjusted_win_rate, win_rate
from benchbench_tasks.alpaca_eval import AlpacaEval

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "alpaca_eval"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no alpaca_eval in {ROOT}; set BENCHBENCH_TEST_DATA to a data root"
)

LEADERBOARDS = {
    "alpaca_eval_gpt4": "data_AlpacaEval/alpaca_eval_gpt4_leaderboard.csv",
    "weighted_alpaca_eval_gpt4_turbo": (
        "data_AlpacaEval_2/weighted_alpaca_eval_gpt4_turbo_leaderboard.csv"
    ),
}
UNLISTED = ("text_davinci_003", "weighted_alpaca_eval_gpt4_turbo")
"""AlpacaEval 2 does not list the baseline of the first."""


def judged() -> list[tuple[str, str]]:
    """Return model and annotator of all released judgements."""
    found = {tuple(p.parts[-3:-1]) for p in FOLDER.glob("results/*/*/annotations*")}
    return sorted(found - {UNLISTED})  # type: ignore[arg-type]


def annotations(model: str, annotator: str) -> list[dict[str, Any]]:
    (path,) = (FOLDER / "results" / model / annotator).glob("annotations*")
    text = gzip.decompress(path.read_bytes()).decode()
    if path.name.endswith(".jsonl.gz"):
        return [json.loads(line) for line in text.splitlines()]
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def released(rows: list[dict[str, Any]]) -> list[float]:
    """Return preferences for the model: released are 1 to 2, 0 for a tie, null for none."""
    return [(row["preference"] or 1.5) - 1 for row in rows if row["preference"] is not None]


def published(model: str, annotator: str) -> dict[str, str]:
    with (FOLDER / "leaderboards" / LEADERBOARDS[annotator]).open(encoding="utf-8") as file:
        return next(row for row in csv.DictReader(file) if row[""] == model)


def read(**params: Any) -> list[Sample]:
    data = Data(name="alpaca_eval", folder=FOLDER, source="folder")
    return list(AlpacaEval(**params).samples("test", data))


def test_all_pairs_are_here() -> None:
    assert len(judged()) == 17


@pytest.mark.parametrize(("model", "annotator"), judged())
def test_win_rates_equal_the_published_ones(model: str, annotator: str) -> None:
    preferences = released(annotations(model, annotator))
    expected = published(model, annotator)
    found = win_rate(preferences)
    assert found.n == int(expected["n_total"])
    assert 100 * found.value == pytest.approx(float(expected["win_rate"]), abs=5e-5)
    error = float(expected["standard_error"])
    assert 100 * stdev(preferences) / math.sqrt(found.n) == pytest.approx(error, abs=5e-5)
    # The bootstrap's is without Bessel's correction, and drawn.
    assert 100 * (found.error or 0.0) == pytest.approx(error, rel=0.03)
    if error:
        width = 100 * (found.high - found.low)  # type: ignore[operator]
        assert width == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_released_log_probabilities_give_the_released_preferences() -> None:
    """Each was asked in one order, drawn by chance, so ours is p or 1 - p; equal ones were not."""
    rows = annotations("alpaca-7b", "weighted_alpaca_eval_gpt4_turbo")
    asked = [row for row in rows if row["output_1"] != row["output_2"]]
    assert (len(rows), len(asked)) == (805, 802)
    assert {row["preference"] for row in rows if row not in asked} == {1.5}
    for row in asked:
        (token,) = row["raw_completion"]["logprobs"]["content"]
        logprobs = {each["token"]: each["logprob"] for each in token["top_logprobs"]}
        ours = preference((logprobs.get("m"), logprobs.get("M")))
        theirs = row["preference"] - 1
        assert ours is not None
        assert min(abs(ours - theirs), abs(1 - ours - theirs)) < 1e-7


@pytest.mark.parametrize(
    ("model", "raw", "adjusted"),
    [
        ("gpt-3.5-turbo-0301", 9.6225, 31.4339),
        ("vicuna-7b", 4.1626, 9.2707),
        ("gemma-2b-it", 3.4020, 6.6127),
        ("gpt4_1106_preview", 50.0, 50.0),
    ],
)
def test_what_is_left_at_equal_lengths(model: str, raw: float, adjusted: float) -> None:
    """Not the published length-controlled rates (18.1, 6.3, 5.4, 50), whose model knows more.

    But the order of the models and the direction of the correction agree. Most answers are far
    shorter than the baseline's here: equal lengths are hardly seen, and intervals are wide.
    """
    rows = annotations(model, "weighted_alpaca_eval_gpt4_turbo")
    assert not any(row["preference"] is None for row in rows)
    preferences = released(rows)
    apart = [row["len_2"] - row["len_1"] for row in rows]
    found = length_adjusted_win_rate(apart, preferences)
    assert found is not None
    assert 100 * win_rate(preferences).value == pytest.approx(raw, abs=1e-4)
    assert 100 * found.value == pytest.approx(adjusted, abs=1e-3)


def test_instructions() -> None:
    samples = read()
    assert len(samples) == len({each.id for each in samples}) == 805
    sizes = {"selfinstruct": 252, "oasst": 188, "koala": 156, "helpful_base": 129, "vicuna": 80}
    assert {
        name: sum(each.groups["dataset"] == name for each in samples) for name in sizes
    } == sizes
    assert not any(each.targets for each in samples)


@pytest.mark.parametrize(("baseline", "empty"), [("text_davinci_003", 2), ("gpt4_1106_preview", 0)])
def test_both_published_baselines_have_all_instructions(baseline: str, empty: int) -> None:
    plain, samples = read(), read(baseline=baseline)
    assert [each.id for each in samples] == [each.id for each in plain]
    assert [each.targets[0] for each in samples].count("") == empty

"""Super-NI as released: counts, published numbers, and what is known of where ours differ.

The folder holds 110 of the 119 test tasks, and for 88 of them one reference an instance, drawn at
random, where the release may have several.
"""

import gzip
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import fmean

import pytest

from benchbench import Data, Sample
from benchbench.data.read import read_names
from benchbench_tasks.super_ni import SuperNI

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "super-ni"
RESULTS = FOLDER / "reference_results"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no super-ni in {ROOT}; set BENCHBENCH_TEST_DATA to a data root"
)

Scores = Mapping[str, float]


@pytest.fixture(scope="module")
def test_samples() -> list[Sample]:
    return read("test")


def read(split: str) -> list[Sample]:
    return list(SuperNI().samples(split, Data(name="super-ni", folder=FOLDER, source="folder")))


def by(kind: str, samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    groups = defaultdict(list)
    for sample in samples:
        groups[sample.groups[kind]].append(sample)
    return dict(groups)


def published(name: str) -> dict[str, float]:
    metrics: dict[str, float] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return metrics


def test_task_counts() -> None:
    splits = FOLDER / "splits" / "default"
    counts = {s: len(read_names(splits / f"{s}_tasks.txt")) for s in ("train", "test", "excluded")}
    assert counts == {"train": 207, "test": 110, "excluded": 16}


def test_training_samples() -> None:
    samples = read("train")
    assert len(samples) == 20_687  # some tasks have fewer than 100 instances
    assert len({s.id for s in samples}) == len(samples)
    assert max(len(group) for group in by("task", samples).values()) == 100
    assert len(by("task", samples)) == 207


def test_test_samples_are_the_first_100_instances_of_each_task(test_samples: list[Sample]) -> None:
    groups = by("task", test_samples)
    assert list(groups) == read_names(FOLDER / "splits" / "default" / "test_tasks.txt")
    for task, group in groups.items():
        instances = json.loads((FOLDER / "tasks" / f"{task}.json").read_text("utf-8"))["Instances"]
        released = [(each["input"], tuple(each["output"])) for each in instances[:100]]
        assert [(s.input, s.targets) for s in group] == released
    short = {task.split("_")[0]: len(g) for task, g in groups.items() if len(g) < 100}
    assert short == {"task602": 84, "task760": 26}  # so in the release
    assert len({s.id for s in test_samples}) == len(test_samples) == 10_910
    assert len(by("category", test_samples)) == 12


# Heuristics of Tk-Instruct's run_heuristics.py, as pseudo-completions.


def copy_input(sample: Sample) -> str:
    return sample.input


def copy_example(sample: Sample) -> str:
    output: str = sample.context["examples"][0]["output"]
    return output


Heuristic = Callable[[Sample], str]


def scored(samples: Iterable[Sample], heuristic: Heuristic) -> dict[str, Scores]:
    task = SuperNI()
    return {s.id: task.score(s, [task.extract(heuristic(s))]) for s in samples}


@pytest.fixture(scope="module")
def heuristics(test_samples: list[Sample]) -> dict[Heuristic, dict[str, Scores]]:
    return {each: scored(test_samples, each) for each in (copy_input, copy_example)}


def percent(scores: Iterable[Scores], metric: str = "rouge_l") -> float:
    return 100 * fmean(each[metric] for each in scores)


@pytest.mark.parametrize(
    ("heuristic", "measured", "on_119_tasks"),
    [(copy_input, 13.2162, 14.20), (copy_example, 28.8116, 28.54)],
)
def test_heuristics_come_near_the_published_numbers(
    heuristics: dict[Heuristic, dict[str, Scores]],
    heuristic: Heuristic,
    measured: float,
    on_119_tasks: float,
) -> None:
    """The published numbers are Tk-Instruct's README's, on all 119 tasks and all references.

    Both gaps can be accounted for. With the mean of its category for each of the 9 tasks that are
    not here we get 13.61 ± 0.31 and 28.86 ± 0.42 (standard deviation over tasks drawn within the
    categories). One reference costs 0.88 and 0.42 where all are known (next test), which for 87 of
    119 tasks makes 0.65 and 0.31: 14.26 ± 0.31 and 29.17 ± 0.42 in all.
    """
    rouge = percent(heuristics[heuristic].values())
    assert rouge == pytest.approx(measured, abs=0.0001)
    assert rouge == pytest.approx(on_119_tasks, abs=1.0)


@pytest.mark.parametrize(
    ("heuristic", "all_references", "one_reference"),
    [(copy_input, 22.6937, 21.8173), (copy_example, 20.3474, 19.9279)],
)
def test_what_a_single_reference_costs(
    test_samples: list[Sample], heuristic: Heuristic, all_references: float, one_reference: float
) -> None:
    rows = (FOLDER / "PROVENANCE.tsv").read_text("utf-8").splitlines()
    verbatim = {row.split("\t")[0] for row in rows if row.split("\t")[5] == "verbatim"}
    samples = [s for s in test_samples if s.groups["task"] in verbatim]
    assert len(by("task", samples)) == 22
    assert percent(scored(samples, heuristic).values()) == pytest.approx(all_references, abs=0.0001)
    task = SuperNI()
    mean_over_references = 100 * fmean(
        fmean(
            task.score(Sample(id="", input="", targets=(each,)), [heuristic(s)])["rouge_l"]
            for each in s.targets
        )
        for s in samples
    )
    assert mean_over_references == pytest.approx(one_reference, abs=0.0001)


@pytest.mark.parametrize("model", ["tk", "mtk"])
def test_published_means_follow_from_our_groups(test_samples: list[Sample], model: str) -> None:
    """The published per-task numbers, averaged by our groups, give the published means."""
    metrics = published(f"default_{model}-instruct-3b-def-pos_metrics.json")
    official = read_names(FOLDER / "splits_official" / "default" / "test_tasks.txt")
    groups = by("task", test_samples)
    counts = {task: len(groups[task]) if task in groups else 100 for task in official}
    assert sum(counts.values()) == metrics["predict_samples"]
    for metric in ("rougeL", "exact_match"):
        overall = mean_of_tasks(metrics, metric, counts)
        assert overall == pytest.approx(metrics[f"predict_{metric}"], abs=0.0001)
        for category in ("Data to Text", "Word Analogy", "Overlap Extraction"):  # complete here
            tasks = by("task", by("category", test_samples)[category])
            mean = mean_of_tasks(metrics, metric, {task: len(g) for task, g in tasks.items()})
            key = f"predict_{metric}_for_{snake(category)}"
            assert mean == pytest.approx(metrics[key], abs=0.0001)


def mean_of_tasks(metrics: dict[str, float], metric: str, counts: dict[str, int]) -> float:
    total = sum(metrics[f"predict_{metric}_for_{task}"] * n for task, n in counts.items())
    return total / sum(counts.values())


@pytest.fixture(scope="module")
def predictions() -> list[tuple[Sample, str]]:
    """The released predictions of Tk-Instruct-3B on the 35 tasks of the cross-lingual track."""
    categories = json.loads((FOLDER / "task_categories.json").read_text("utf-8"))
    path = RESULTS / "xlingual_tk-instruct-3b-def-pos_predictions.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        (
            Sample(
                id=row["Instance"]["id"],
                input=row["Instance"]["input"],
                targets=tuple(row["Instance"]["output"]),
                groups={"task": row["Task"], "category": categories[row["Task"]][0]},
            ),
            row["Prediction"],
        )
        for row in rows
    ]


@pytest.mark.parametrize(
    ("metric", "name", "overall"),
    [("exact_match", "exact_match", 40.2857), ("rouge_l", "rougeL", 46.0210)],
)
def test_scores_of_released_predictions_equal_the_published_ones(
    predictions: list[tuple[Sample, str]], metric: str, name: str, overall: float
) -> None:
    metrics = published("xlingual_tk-instruct-3b-def-pos_metrics.json")
    assert len(predictions) == 3500
    task = SuperNI()
    groups = defaultdict(list)
    for sample, prediction in predictions:
        score = task.score(sample, [task.extract(prediction)])
        for group in ("", *sample.groups.values()):
            groups[group].append(score)
    assert len(groups) == 1 + 35 + 4
    assert round(percent(groups.pop(""), metric), 4) == metrics[f"predict_{name}"] == overall
    for group, scores in groups.items():
        key = f"predict_{name}_for_{group if group.startswith('task') else snake(group)}"
        assert percent(scores, metric) == pytest.approx(metrics[key], abs=0.0001)


def snake(category: str) -> str:
    return category.lower().replace(" ", "_")

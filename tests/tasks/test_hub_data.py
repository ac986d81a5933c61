"""What stock tasks make of the hub's tables is what they read: samples come back the same."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchbench import TaskSpec
from benchbench.data.download import inside, write_files
from benchbench.plan.samples import read_contents
from benchbench.registry.registry import Registry

REGISTRY = Registry.load()
Rows = dict[str, list[dict[str, Any]]]


def gsm8k(folder: Path) -> Rows:
    return {
        f"main/{split}-00000-of-00001.parquet": [
            json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()
        ]
        for split in ("train", "test")
    }


def alpaca(folder: Path) -> Rows:
    rows = json.loads((folder / "alpaca_data.json").read_text())
    name = "data/train-00000-of-00001-a09b74b3ef9c3b56.parquet"
    return {name: [{**row, "text": "all of it"} for row in rows]}


def mmlu(folder: Path) -> Rows:
    def questions(part: str) -> Iterator[dict[str, Any]]:
        for path in sorted((folder / "data" / part).glob("*.csv")):
            for question, *choices, answer in csv.reader(io.StringIO(path.read_text())):
                yield {
                    "question": question,
                    "subject": path.stem.removesuffix(f"_{part}"),
                    "choices": choices,
                    "answer": "ABCD".index(answer),
                }

    parts = ("dev", "test")
    return {f"all/{part}-00000-of-00001.parquet": list(questions(part)) for part in parts}


def truthfulqa(folder: Path) -> Rows:
    records = json.loads((folder / "mc_task.json").read_text())
    rows = [
        {"question": record["question"]}
        | {
            name: {"choices": [*record[name]], "labels": [*record[name].values()]}
            for name in ("mc1_targets", "mc2_targets")
        }
        for record in records
    ]
    return {"multiple_choice/validation-00000-of-00001.parquet": rows}


def tydiqa(folder: Path) -> Rows:
    def questions(part: str) -> Iterator[dict[str, Any]]:
        text = (folder / f"tydiqa-goldp-v1.1-{part}.json").read_text()
        for article in json.loads(text)["data"]:
            for paragraph in article["paragraphs"]:
                for asked in paragraph["qas"]:
                    yield {
                        "id": asked["id"],
                        "title": article.get("title", ""),
                        "context": paragraph["context"],
                        "question": asked["question"],
                        "answers": {
                            "text": [answer["text"] for answer in asked["answers"]],
                            "answer_start": [0 for _ in asked["answers"]],
                        },
                    }

    parts = {"train": "train", "validation": "dev"}
    return {
        f"secondary_task/{name}-00000-of-00001.parquet": list(questions(part))
        for name, part in parts.items()
    }


PARTS = {
    "mmlu": {"subjects": "astronomy+high_school_geography+logical_fallacies+nutrition"},
    "tydiqa": {"languages": "english+finnish+indonesian+korean+russian+swahili"},
}
"""What an embedded sample holds of data sets that must be whole."""


@pytest.mark.parametrize("tables", [gsm8k, alpaca, mmlu, truthfulqa, tydiqa])
def test_samples_come_back_the_same(
    tables: Callable[[Path], Rows], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = REGISTRY.tasks[tables.__name__]
    assert task.hub is not None and task.embedded is not None
    rows = tables(task.embedded)
    monkeypatch.setattr("benchbench.data.download.read_table", lambda path, name: rows[name])
    write_files(task.hub, {name: Path(name) for name in task.hub.files}, tmp_path / task.data_set)
    spec = TaskSpec(name=task.name, params=PARTS.get(task.name, {}))
    found, embedded = (read_contents(spec, REGISTRY, root) for root in (tmp_path, None))
    assert found.keys() == embedded.keys()
    assert all(found[split].samples == embedded[split].samples for split in found)


def test_stock_tasks_name_files_of_a_data_set() -> None:
    hubs = {name: task.hub for name, task in REGISTRY.tasks.items() if task.hub}
    assert {"gsm8k", "mmlu", "truthfulqa", "tydiqa", "ifeval", "alpaca-eval"} <= set(hubs)
    for hub in hubs.values():
        assert hub.repository.count("/") == 1 and hub.files
        for source, target in hub.files.items():
            assert inside(source) and inside(target) and not target.endswith(".parquet")

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from benchbench import Data, Sample
from benchbench.errors import DataError
from benchbench.judge.comparison import comparison
from benchbench_tasks.alpaca_eval import INSTRUCTIONS, AlpacaEval

ROW = {"dataset": "koala", "instruction": "Say it", "output": "it", "generator": "x"}


def rows(n: int = 3, **changes: Any) -> list[dict[str, Any]]:
    return [ROW | {"instruction": f"Say {i}", "output": f"out {i}"} | changes for i in range(n)]


def write(folder: Path, found: Any, model: str = INSTRUCTIONS) -> Data:
    path = folder / "results" / model / "model_outputs.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(found if isinstance(found, str) else json.dumps(found), encoding="utf-8")
    return Data(name="alpaca_eval", folder=folder, source="folder")


def read(data: Data, **params: Any) -> list[Sample]:
    return list(AlpacaEval(**params).samples("test", data))


def test_samples_are_the_instructions_in_file_order(tmp_path: Path) -> None:
    found = read(write(tmp_path, rows()))
    assert [each.input for each in found] == ["Say 0", "Say 1", "Say 2"]
    assert {(each.targets, each.groups["dataset"]) for each in found} == {((), "koala")}


def test_ids_are_of_the_instruction_alone(tmp_path: Path) -> None:
    ids = [each.id for each in read(write(tmp_path, rows()))]
    assert ids == [each.id for each in read(write(tmp_path, rows(3, output="other")))]
    assert ids[1:] == [each.id for each in read(write(tmp_path, rows()[1:]))]
    assert ids[0].startswith("koala/")


def test_a_baselines_outputs_are_the_targets(tmp_path: Path) -> None:
    write(tmp_path, list(reversed(rows())), "other")
    found = read(write(tmp_path, rows(3, output="davinci")), baseline="other")
    assert [each.targets for each in found] == [("out 0",), ("out 1",), ("out 2",)]


def test_a_baseline_must_have_all_instructions(tmp_path: Path) -> None:
    write(tmp_path, rows(2), "other")
    with pytest.raises(DataError, match="the outputs of 'other' lack the instruction 'Say 2'"):
        read(write(tmp_path, rows()), baseline="other")


def test_a_baseline_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has outputs of text_davinci_003 only; name one"):
        read(write(tmp_path, rows()), baseline="other")


@pytest.mark.parametrize("baseline", ["../x", "a/b", "/etc", "..", "."])
def test_a_baseline_is_no_path(baseline: str) -> None:
    with pytest.raises(ValueError, match="it must be the name of a folder of results"):
        AlpacaEval(baseline=baseline)


def test_a_limit_takes_a_part(tmp_path: Path) -> None:
    data = write(tmp_path, rows(20))
    few, more = read(data, limit=3), read(data, limit=9)
    assert (len(few), len(more), len(read(data, limit=0))) == (3, 9, 20)
    assert {each.id for each in few} < {each.id for each in more}
    with pytest.raises(ValueError, match="limit is -1"):
        AlpacaEval(limit=-1)


def test_the_released_gzip_is_read(tmp_path: Path) -> None:
    data = write(tmp_path, "")
    path = tmp_path / "results" / INSTRUCTIONS / "model_outputs.json"
    path.unlink()
    path.with_name("model_outputs.json.gz").write_bytes(gzip.compress(json.dumps(rows()).encode()))
    assert len(read(data)) == 3


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ("{", "is not valid JSON"),
        ([], r"model_outputs.json is \[\]; it must be a list of one or more"),
        ({"a": 1}, "model_outputs.json is {.*}; it must be a valid array"),
        ([3], r"\[0\] of .* is 3; it must be an object"),
        ([{**ROW, "instruction": 3}], "'instruction' of .* is 3; it must be a valid string"),
        ([{**ROW, "instruction": " \n"}], "'instruction' of .*; it must be a text, not blank"),
        ([{"dataset": "koala", "instruction": "x"}], "has no key 'output'"),
        ([{"instruction": "x", "output": "y"}], "has no key 'dataset'"),
    ],
)
def test_a_malformed_file_is_one_sentence(tmp_path: Path, found: Any, why: str) -> None:
    with pytest.raises(DataError, match=why):
        read(write(tmp_path, found))


def test_an_empty_output_of_a_baseline_is_kept(tmp_path: Path) -> None:
    write(tmp_path, rows(1, output=""), "other")
    (sample,) = read(write(tmp_path, rows(1)), baseline="other")
    assert sample.targets == ("",)


def test_other_scripts_are_kept(tmp_path: Path) -> None:
    (sample,) = read(write(tmp_path, [ROW | {"instruction": "Скажи 猫"}]))
    task = AlpacaEval()
    shown = comparison(task, task.protocols["full"], sample, ["ответ"], ["猫"])
    assert (shown.instruction, shown.first, shown.second) == ("Скажи 猫", "ответ", "猫")


def test_the_sample_is_its_own_and_has_a_baseline() -> None:
    task = AlpacaEval(baseline="sample")
    data = Data(name="alpaca_eval", folder=task.embedded or Path(), source="sample")
    found = list(task.samples("test", data))
    assert len(found) == len({each.id for each in found}) == 24
    assert all(each.targets[0] for each in found)
    assert {each.groups["dataset"] for each in found} == {"story", "advice", "facts", "rewrite"}


def test_protocols() -> None:
    found = {name: each.generation for name, each in AlpacaEval.protocols.items()}
    assert {name: each.max_tokens for name, each in found.items()} == {
        "full": 1024,
        "open-instruct": 2048,
        "open-instruct-long": 8192,
    }
    assert {each.temperature for each in found.values()} == {0.0}
    assert [each.stop for each in found.values()] == [("<|user|>",), (), ()]
    assert {each.form for each in AlpacaEval.protocols.values()} == {"tulu"}

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench.errors import BadParameter, DataError
from benchbench.specs import (
    DataSpec,
    MethodSpec,
    ModelSpec,
    RunSpec,
    TaskSpec,
    TrainSpec,
    canonical,
    digest,
    read_toml,
    split_specs,
)

MODEL = ModelSpec(name="toy", revision="sha256:0", tokenizer="0")
TRAIN = TrainSpec(
    task=TaskSpec(name="toy", protocol="plain"),
    data=DataSpec(source="sample", digest="0"),
)


def run_spec(**params: object) -> RunSpec:
    return RunSpec(
        model=MODEL,
        method=MethodSpec(name="lora", params=params),
        train=TRAIN,
        precision="float32",
        seed=1,
    )


def test_a_method_is_read_from_text() -> None:
    spec = MethodSpec.parse("lora:rank=64, alpha=64")
    assert spec == MethodSpec(name="lora", params={"rank": "64", "alpha": "64"})


def test_a_task_is_read_from_text() -> None:
    spec = TaskSpec.parse("super-ni@def-pos2:instances=20")
    assert spec == TaskSpec(name="super-ni", protocol="def-pos2", params={"instances": "20"})
    assert spec.label == "super-ni@def-pos2"


@pytest.mark.parametrize("text", ["lora:rank", "lora:=3", "lora:rank=", "lora:rank=1,rank=2"])
def test_unreadable_parameters_are_one_sentence(text: str) -> None:
    with pytest.raises(BadParameter, match="lora"):
        MethodSpec.parse(text)


def test_commas_separate_specs_and_parameters() -> None:
    text = "super-ni:instances=20,train_instances=10,gsm8k@full,bbh"
    assert split_specs(text) == [
        "super-ni:instances=20,train_instances=10",
        "gsm8k@full",
        "bbh",
    ]


def test_the_id_depends_on_every_field() -> None:
    spec = run_spec(rank=8)
    changed = [
        run_spec(rank=16),
        dataclasses.replace(spec, seed=2),
        dataclasses.replace(spec, model=dataclasses.replace(MODEL, revision="sha256:1")),
        dataclasses.replace(spec, train=dataclasses.replace(TRAIN, epochs=1.0)),
        dataclasses.replace(spec, train=None),
        dataclasses.replace(spec, precision="bfloat16"),
        dataclasses.replace(spec, method=dataclasses.replace(spec.method, version=2)),
    ]
    assert len({spec.id, *(other.id for other in changed)}) == 1 + len(changed)


def test_the_id_does_not_depend_on_the_order_of_parameters() -> None:
    assert run_spec(rank=8, alpha=8).id == run_spec(alpha=8, rank=8).id


def test_the_id_is_the_same_in_every_process() -> None:
    assert digest({"a": 1}) == "015abd7f5cc5"  # sha256 of {"a":1}


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans()))
def test_canonical_json_says_the_same(value: dict[str, object]) -> None:
    assert json.loads(canonical(value)) == value


def test_canonical_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"loss": float("nan")})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0.0),
        ("epochs", float("nan")),
        ("batch_size", 0),
        ("gradient_accumulation", 3),
        ("warmup_ratio", 1.0),
        ("weight_decay", -1.0),
        ("max_grad_norm", -1.0),
    ],
)
def test_training_settings_are_checked(name: str, value: float) -> None:
    with pytest.raises(BadParameter, match=f"{name} is {value}; it must be"):
        dataclasses.replace(TRAIN, **{name: value})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shelf:
    name: Annotated[str, "a text"]
    sizes: Annotated[tuple[int, ...], "a list of whole numbers"] = ()
    notes: Annotated[Mapping[str, Any], "a [notes] table"] = dataclasses.field(default_factory=dict)


def shelf(folder: Path, text: str) -> Shelf:
    path = folder / "shelf.toml"
    path.write_text(text, encoding="utf-8")
    return read_toml(path, Shelf, DataError, "a shelf is a TOML file.")


def test_a_toml_file_is_its_dataclass(tmp_path: Path) -> None:
    assert shelf(tmp_path, '\ufeffname = "é"\n') == Shelf(name="é")
    found = shelf(tmp_path, 'name = "a"\nsizes = [1, 2]\n[notes]\nfirst = inf\nmade = 2020-01-01')
    assert (found.sizes, found.notes) == ((1, 2), {"first": float("inf"), "made": "2020-01-01"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('nane = "a"', "lacks 'name': a text"),
        ('name = ""', "'name' in .* is ''; it must be a text"),
        ("name = 2", "'name' in .* is 2; it must be a text"),
        ('name = "a"\nsize = 1', "unknown key 'size'; it may have: name, sizes, notes"),
        ('name = "a"\nsizes = 1', "'sizes' in .* is 1; it must be a list of whole numbers"),
        ('name = "a"\nsizes = [1, true]', r"'sizes' in .* is \[1, True\]; it must be a list"),
        ('name = "a"\nsizes = ["1"]', r"'sizes' in .* is \['1'\]; it must be a list"),
        ('name = "a"\nnotes = []', r"'notes' in .* is \[\]; it must be a \[notes\] table"),
        ('name = "a"\nname = "b"', "is not valid TOML"),
    ],
)
def test_a_toml_file_that_says_something_else(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        shelf(tmp_path, text)
    assert "shelf.toml" in str(error.value) and "\n" not in str(error.value)


def test_a_toml_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*shelf\.toml.*; a shelf is a TOML file\."):
        read_toml(tmp_path / "shelf.toml", Shelf, DataError, "a shelf is a TOML file.")

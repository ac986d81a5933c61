import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench.errors import BadParameter
from benchbench.specs import (
    DataSpec,
    MethodSpec,
    ModelSpec,
    RunSpec,
    TaskSpec,
    TrainSpec,
    canonical,
    digest,
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

"""The names that strangers' plugins use are where they have always been."""

import importlib

import pytest

import benchbench

NAMES = {
    "benchbench": (
        "Data Generation HubData Message Method MethodSpec Mix Model ModelSpec PeftMethod Protocol "
        "Route RunSpec Sample Task TaskSpec TrainSpec Training Unsuited hookimpl linear_layers "
        "needs peft_model projected_groups read_mix"
    ),
    "benchbench.data": (
        "DataError check_limit chosen filled items key present read_csv read_json read_jsonl "
        "read_names read_text subset texts"
    ),
    "benchbench.metrics": (
        "exact_match pass_at_k pass_rates rouge_l same_text squad_f1 squad_match"
    ),
    "benchbench.modules": (
        "ACTIVATIONS AddedModule addition attach block_ends detach layers_with_bias load read save"
    ),
    "benchbench.sandbox": "TIERS Tier Verdict run tier",
    "benchbench.testing": "check_method",
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in NAMES for name in NAMES[module].split()]
)
def test_a_name_is_there(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("module", NAMES)
def test_what_a_door_says_it_hands_on_it_does(module: str) -> None:
    door = importlib.import_module(module)
    for name in getattr(door, "__all__", ()):
        assert hasattr(door, name), name


def test_modules_of_the_package_are_attributes_of_it() -> None:
    from benchbench import modules

    assert benchbench.modules is modules

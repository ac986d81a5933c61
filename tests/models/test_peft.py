"""Methods that fill in a configuration of PEFT."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from benchbench import Method, MethodSpec, PeftMethod, Training, hookimpl, peft_model
from benchbench.errors import BadParameter
from benchbench.registry.docstrings import field_docs
from benchbench.registry.registry import Registry
from benchbench.testing import check_method

pytestmark = pytest.mark.usefixtures("one_thread")

TRAINING = Training(steps=1, parts=1, weight_decay=0.0, max_grad_norm=1.0, batches=lambda: iter(()))


@dataclass(frozen=True, kw_only=True)
class Toy(PeftMethod):
    """Fill in every kind of option."""

    name = "toy-peft"
    source = "https://example.org"
    packable = True
    config = "LoraConfig"
    options = {"r": "rank", "lora_alpha": "rank", "init_lora_weights": "start"}
    fixed = {"use_rslora": True}
    choices = {"start": {"zero": True, "orthogonal": "orthogonal", "random": False}}
    least = {"rank": 1}

    rank: int = 4
    """Inner dimension, at least 1."""
    start: str = "zero"
    """``zero``, ``orthogonal`` or ``random``."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""


@dataclass(frozen=True, kw_only=True)
class Prompt(PeftMethod):
    """Learn a prompt; it has no targets."""

    name = "toy-prompt"
    config = "PromptTuningConfig"
    options = {"num_virtual_tokens": "tokens"}

    tokens: int = 3


@dataclass(frozen=True, kw_only=True)
class Drawn(PeftMethod):
    """Draw a projection for each seed."""

    name = "toy-drawn"
    config = "VeraConfig"
    options = {"r": "rank"}
    seed_option = "projection_prng_key"

    rank: int = 4
    targets: str = ""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Toy]


def load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if "t5" in folder.name else AutoModelForCausalLM
    return kind.from_pretrained(folder)


def configuration(method: Method, folder: Path) -> Any:
    return method.adapt(load(folder), TRAINING).peft_config["default"]


def test_fields_become_options(tiny_model: Path) -> None:
    made = configuration(Toy(rank=6, start="orthogonal", targets="q_proj+v_proj"), tiny_model)
    assert (made.r, made.lora_alpha, made.use_rslora) == (6, 6, True)
    assert made.init_lora_weights == "orthogonal"
    assert set(made.target_modules) == {"q_proj", "v_proj"}
    assert Toy.options == {"r": "rank", "lora_alpha": "rank", "init_lora_weights": "start"}


def test_only_what_was_added_is_trained(tiny_model: Path) -> None:
    model = Toy().adapt(load(tiny_model), TRAINING)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained and all("lora_" in name for name in trained)


def test_without_targets_the_layers_are_pefts_choice(tiny_model: Path) -> None:
    assert set(configuration(Drawn(), tiny_model).target_modules) == {"q_proj", "v_proj"}
    assert set(configuration(Drawn(targets="o_proj"), tiny_model).target_modules) == {"o_proj"}


def test_targets_that_are_not_there_are_named_with_those_that_are(tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="targets is 'query'; it is all-linear, or some of down_"):
        Toy(targets="query").adapt(load(tiny_model), TRAINING)


def test_the_seed_decides_what_is_drawn(tiny_model: Path) -> None:
    import torch

    def drawn(seed: int) -> int:
        torch.manual_seed(seed)
        return int(configuration(Drawn(), tiny_model).projection_prng_key)

    assert drawn(1) == drawn(1) != drawn(2)


def test_an_encoder_decoder_model_is_told_from_a_decoder(tiny_model: Path, tiny_t5: Path) -> None:
    one, both = (configuration(Prompt(), folder) for folder in (tiny_model, tiny_t5))
    assert (one.task_type, one.num_virtual_tokens) == ("CAUSAL_LM", 3)
    assert (both.task_type, both.num_transformer_submodules) == ("SEQ_2_SEQ_LM", 1)
    prefix = peft_model(load(tiny_t5), "PrefixTuningConfig", targets=None, num_virtual_tokens=2)
    made = prefix.peft_config["default"]
    # Two heads of 16 in layers of 64: PEFT would take the width of the layer.
    assert (made.num_attention_heads, made.token_dim) == (2, 32)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rank": 0}, "rank is 0; it must be 1 or more"),
        ({"start": "one"}, "start is 'one'; it must be zero, orthogonal or random"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be above 0"),
    ],
)
def test_a_wrong_value_is_one_sentence(given: dict[str, Any], message: str) -> None:
    registry = Registry.load(extra=[__name__])
    with pytest.raises(BadParameter) as error:
        registry.method(MethodSpec(name="toy-peft", params=given))
    assert str(error.value) == f"method 'toy-peft': {message}."


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"options": {"rank": "r"}},  # the wrong way round
            "options of Wrong names r, which is no field; the fields are learning_rate, rank, ",
        ),
        ({"choices": {"init": {"zero": True}}}, "choices of Wrong names init, which is no field"),
        ({"least": {"ranks": 1}}, "least of Wrong names ranks, which is no field"),
    ],
)
def test_facts_that_name_no_field_are_found_when_it_is_built(
    facts: dict[str, Any], message: str
) -> None:
    wrong = dataclass(frozen=True, kw_only=True)(type("Wrong", (Toy,), facts))
    with pytest.raises(TypeError) as error:
        wrong()
    assert str(error.value).startswith(message)


def test_a_method_that_says_no_configuration_is_told_how() -> None:
    wrong = dataclass(frozen=True, kw_only=True)(type("Wrong", (PeftMethod,), {"name": "wrong"}))
    with pytest.raises(TypeError, match=r'does not say its config; .* config = "LoraConfig"'):
        wrong()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda model: peft_model(model, "LoraConfg", r=4),
            r"PEFT [\d.]+\S* has no configuration 'LoraConfg'; the nearest are LoraConfig, ",
        ),
        (
            lambda model: peft_model(model, "LoraConfig", alpha=4),
            r"LoraConfig of PEFT [\d.]+\S* has no option 'alpha'; the nearest are .*lora_alpha",
        ),
    ],
)
def test_what_peft_does_not_have_is_said_before_the_model_is_changed(
    call: Callable[[Any], Any], message: str, tiny_model: Path
) -> None:
    model = load(tiny_model)
    with pytest.raises(ValueError, match=message):
        call(model)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_fields_are_documented_by_their_own_docstrings() -> None:
    meaning = field_docs(Toy)
    assert meaning["rank"] == "Inner dimension, at least 1."
    assert {field.name for field in fields(Toy)} <= meaning.keys()


def test_fields_alone_pass_the_exam() -> None:
    exam = check_method(Toy, engine="transformers")
    assert exam.passed, exam.problems
    assert exam.route == "lora"

"""What stock methods refuse: each a sentence that says what the value must be."""

from typing import Any

import pytest

from benchbench import MethodSpec
from benchbench.errors import BadParameter
from benchbench.registry.registry import Registry
from benchbench.train import process
from tests.toys.jobs import NewJob, examples, new_job

__all__ = ["examples", "new_job"]

pytestmark = pytest.mark.usefixtures("one_thread")

REGISTRY = Registry.load()


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("lora", {"ranks": "q_proj"}, "ranks holds 'q_proj'; write it as q_proj:8+v_proj:32"),
        ("rslora", {"rank": 0}, "rank is 0; it must be 1 or more"),
        ("dora", {"dropout": 1.0}, "dropout is 1.0; it must lie in [0, 1)"),
        ("eva", {"rho": 0.5}, "rho is 0.5; it must be 1 or more"),
        ("adalora", {"start_rank": 4}, "start_rank is 4; it must be 8 or more"),
        ("adalora", {"warmup": 0.7}, "warmup is 0.7 and rest is 0.4; they must be 0 or more and"),
        ("prompt-tuning", {"start": "text"}, "start is 'text'; it must be vocabulary or random"),
        ("p-tuning", {"encoder": "gru"}, "encoder is 'gru'; it must be mlp or lstm"),
        ("prefix-tuning", {"bottleneck": -1}, "bottleneck is -1; it must be 0 or more"),
        ("ia3", {"targets": "k_proj"}, "targets is 'k_proj' and inputs is ''; give both or none"),
        ("lokr", {"factor": 1}, "factor is 1; it must be -1, or 2 or more"),
        ("miss", {"rank": 3}, "rank is 3; it must be even and 2 or more"),
        ("road", {"variant": 3}, "variant is 3; it must be 1, 2 or 4"),
        ("vblora", {"top": 300}, "vectors is 256; it must be 300 or more"),
        ("galore", {"scale": 0.0}, "scale is 0.0; it must be above 0"),
        ("peft", {"type": "lorra"}, "type is 'lorra'; PEFT"),
        ("peft", {"type": "poly"}, "type 'poly' cannot be trained by this method: it needs the"),
        ("peft", {"options": "rank=8"}, "options names 'rank'; lora has: alora_invocation_tokens"),
        ("peft", {"options": "r=few"}, "option r is 'few'; it must be int"),
        ("peft", {"options": "r"}, "options holds 'r'; write 'key=value;key=value'"),
        ("peft", {"type": "p_tuning"}, "options is ''; p_tuning needs num_virtual_tokens"),
    ],
)
def test_a_wrong_value_is_one_sentence(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadParameter) as error:
        REGISTRY.method(MethodSpec(name=name, params=given))
    text = str(error.value)
    assert text.startswith(f"method {name!r}: {message}")
    assert text.endswith(".") and "\n" not in text


@pytest.mark.filterwarnings("ignore:The following rank_pattern keys", "ignore:Invalid `oft_block")
@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("lora", {"ranks": "query:8"}, "ranks names query; LoRA is on down_proj, gate_proj"),
        ("eva", {"rank": 64}, "rank 64 times rho 2.0 needs batches of at least 128 tokens"),
        ("lora-ga", {"rank": 17}, "rank is 17; it must be at most 16, half of the smallest"),
        (
            "oft",
            {"block": 48},
            "block is 48; it must divide the inputs of every layer, and 64, 128",
        ),
    ],
)
def test_what_does_not_fit_the_model_is_said(
    name: str, given: dict[str, Any], message: str, new_job: NewJob
) -> None:
    outcome = process.run(new_job(name, given), lambda _: None)
    assert outcome.status == "failed"
    assert outcome.reason.startswith(f"ValueError: {message}")

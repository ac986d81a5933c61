"""Stock methods on a T5: where they train, how much, and that the loss reaches it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench import MethodSpec, Training, Unsuited
from benchbench.checkpoints import parity
from benchbench.checkpoints.learned import Prefix, SoftPrompt, of_peft
from benchbench.models import logprobs
from benchbench.models.architecture import language_model
from benchbench.models.base import BaseModel
from benchbench.models.prompt import Example
from benchbench.registry.registry import Registry
from benchbench.train.batches import paired
from tests.plugins.test_methods import NEEDS, params

pytestmark = pytest.mark.usefixtures("one_thread")

REGISTRY = Registry.load()
METHODS = [name for name, cls in REGISTRY.methods.items() if cls.role != "base"]
UNSUITED = {"eva": "an encoder-decoder model has two sequences"}
EXAMPLES = [
    Example(prompt=(5, 9, 30 + n, 44, 7 * n + 3, 1), completion=(40 + n, 41, 1)[n % 2 :])
    for n in range(8)
]
PROMPTS = [[5, 9, 30, 44, 7, 1], [61, 61, 12, 90, 250, 3, 8, 1]]

LAYERS, HIDDEN, INNER = 2, 64, 32
"""Of the tests' T5: layers of a stack, size of a layer, and of its heads together."""


def training(device: Any = "cpu") -> Training:
    batch = {name: tensor.to(device) for name, tensor in paired(EXAMPLES).items()}
    return Training(
        steps=4,
        parts=1,
        weight_decay=0.0,
        max_grad_norm=1.0,
        batches=lambda: iter([batch, batch]),
    )


def adapted(folder: Path, name: str, **given: Any) -> Any:
    spec = REGISTRY.resolve_method(MethodSpec(name=name, params=given), 1.0)
    torch.manual_seed(0)
    return REGISTRY.method(spec).adapt(BaseModel(folder).load(torch.float32), training())


def trained(model: Any) -> dict[str, Any]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def count(model: Any) -> int:
    return sum(p.numel() for p in trained(model).values())


@pytest.mark.parametrize("name", METHODS)
def test_what_is_trained_reaches_the_loss(name: str, tiny_t5: Path) -> None:
    for package in NEEDS.get(name, []):
        pytest.importorskip(package)
    given = params(name) | ({"rank": 2} if name == "lora-ga" else {})
    if reason := UNSUITED.get(name):
        with pytest.raises(Unsuited, match=reason):
            adapted(tiny_t5, name, **given)
        return
    model = adapted(tiny_t5, name, **given)
    before = logprobs.token_logprobs(model.eval(), PROMPTS)
    model.train()
    optimizer = torch.optim.SGD(trained(model).values(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(**paired(EXAMPLES)).loss
        loss.backward()
        optimizer.step()
    assert torch.isfinite(loss)
    after = logprobs.token_logprobs(model.eval(), PROMPTS)
    assert parity.largest_difference(before, after) > 0
    if REGISTRY.methods[name].identity and name not in ("galore", "apollo", "full"):
        base = logprobs.token_logprobs(BaseModel(tiny_t5).load(torch.float32).eval(), PROMPTS)
        assert parity.largest_difference(before, base) < 1e-4


def test_the_studys_lora_is_on_queries_and_values_of_all_attention(tiny_t5: Path) -> None:
    """6 L r (d + h d_kv) parameters (arXiv 2411.16775)."""
    model = adapted(tiny_t5, "lora", rank=8, targets="q+v")
    assert count(model) == 6 * LAYERS * 8 * (HIDDEN + INNER)
    places = {name.split(".lora_")[0].rpartition("layer.")[2] for name in trained(model)}
    assert places == {
        f"{block}.{side}"
        for block in ("0.SelfAttention", "1.EncDecAttention")
        for side in ("q", "v")
    }


def test_the_studys_adapters_are_not_after_cross_attention(tiny_t5: Path) -> None:
    """4 L (2 d s + s + d) parameters (arXiv 2411.16775)."""
    model = adapted(tiny_t5, "adapter", size=8)
    assert count(model) == 4 * LAYERS * (2 * HIDDEN * 8 + 8 + HIDDEN)
    assert not [name for name in trained(model) if "EncDecAttention" in name]
    half = adapted(tiny_t5, "adapter", size=8, variant="pfeiffer")
    assert 2 * count(half) == count(model)
    assert count(adapted(tiny_t5, "adapter", size=8, variant="parallel")) == count(half)


def test_bitfit_adds_a_bias_to_every_linear_layer_but_the_head(tiny_t5: Path) -> None:
    model = BaseModel(tiny_t5).load(torch.float32)
    head = model.get_output_embeddings()
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    assert count(adapted(tiny_t5, "bitfit")) == sum(layer.out_features for layer in linear)


@pytest.mark.parametrize("name", ["prompt-tuning", "p-tuning"])
def test_embeddings_are_learned_for_the_encoder_alone(name: str, tiny_t5: Path) -> None:
    """PEFT would learn as many again for a decoder that it never gives them to."""
    model = adapted(tiny_t5, name, tokens=5)
    learned = of_peft(model)
    assert isinstance(learned, SoftPrompt) and learned.embeddings.shape == (5, HIDDEN)
    if name == "prompt-tuning":
        assert count(model) == 5 * HIDDEN


def test_keys_and_values_are_learned_for_the_decoders_self_attention(tiny_t5: Path) -> None:
    """Their sizes are those of the heads, which in T5 need not make up a layer's size."""
    model = adapted(tiny_t5, "prefix-tuning", tokens=5, bottleneck=0)
    learned = of_peft(model)
    assert isinstance(learned, Prefix)
    assert learned.keys.shape == learned.values.shape == (LAYERS, 2, 5, INNER // 2)
    assert count(model) == 2 * LAYERS * 5 * INNER


@pytest.mark.parametrize(
    ("name", "given", "millions"),
    [
        ("lora", {"targets": "q+v", "rank": 8}, 4.72),
        ("lora", {"targets": "q+v", "rank": 512}, 302.0),
        ("adapter", {"size": 8}, 3.34),
        ("adapter", {"size": 512}, 201.6),
    ],
)
def test_on_t5_xl_as_many_parameters_are_trained_as_in_the_study(
    name: str, given: dict[str, Any], millions: float
) -> None:
    from transformers import T5Config

    sizes = {"d_model": 2048, "d_kv": 64, "num_heads": 32, "d_ff": 5120, "num_layers": 24}
    config = T5Config(vocab_size=32128, feed_forward_proj="gated-gelu", **sizes)
    spec = REGISTRY.resolve_method(MethodSpec(name=name, params=given), 1.0)
    with torch.device("meta"):
        model = language_model(config).from_config(config)
        model = REGISTRY.method(spec).adapt(model, training("meta"))
    assert count(model) / 1e6 == pytest.approx(millions, rel=2e-3)

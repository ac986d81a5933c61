"""Added modules: what is trained, saved, read again and taken off."""

from pathlib import Path
from typing import Any

import pytest

from benchbench.checkpoints import modules
from benchbench.checkpoints.modules import AddedModule
from benchbench.models import layers
from benchbench.models.base import BaseModel
from tests.checkpoints.test_export import read
from tests.toys import checkpoints

MODULE = AddedModule(layer="model.layers.0.mlp.down_proj", inputs=64, outputs=64, width=4)


def outputs(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(torch.arange(12)[None]).logits


def test_modules_that_add_zero_change_nothing(tiny_model: Path) -> None:
    import torch

    model = read(tiny_model)
    before = outputs(model)
    modules.attach(model, [MODULE])
    assert torch.equal(outputs(model), before)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {f"{MODULE.layer}.added.{name}" for name in MODULE.shapes}


def test_a_module_computes_what_it_says(tiny_model: Path) -> None:
    import torch

    module = AddedModule(layer="x", inputs=3, outputs=2, width=4, activation="relu", scale=0.5)
    own = {name: torch.randn(shape) for name, shape in module.shapes.items()}
    x = torch.randn(5, 3)
    inner = torch.relu(x @ own["down"].T + own["down_bias"])
    wanted = 0.5 * (inner @ own["up"].T + own["bias"])
    assert torch.allclose(modules.addition(module, own, x), wanted)
    bias = AddedModule(layer="x", inputs=3, outputs=2)
    assert torch.equal(modules.addition(bias, own, x), own["bias"])


def test_what_is_saved_is_read_and_can_be_taken_off(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    made = checkpoints.added(tmp_path / "run", tiny_model, checkpoints.bottlenecks)
    model = read(tiny_model)
    before, names = outputs(model), list(model.state_dict())
    modules.load(model, made.folder)
    changed = outputs(model)
    assert not torch.allclose(changed, before)
    modules.save(model, tmp_path)
    again = read(tiny_model)
    modules.load(again, tmp_path)
    assert torch.equal(outputs(again), changed)
    modules.detach(model)
    assert torch.equal(outputs(model), before)
    assert list(model.state_dict()) == names


@pytest.mark.parametrize(
    ("fields", "text"),
    [({"width": -1}, "is -1; it must be 0 or more"), ({"activation": "abs"}, "one of relu, gelu")],
)
def test_values_that_are_not_allowed(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        AddedModule(layer="x", inputs=1, outputs=1, **fields)


CONFIGS = {
    "GPT2Config": {"n_embd": 32, "n_head": 2, "n_layer": 3},
    "OPTConfig": {"hidden_size": 32, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "GPTNeoXConfig": {"hidden_size": 32, "intermediate_size": 64},
    "Qwen3Config": {"hidden_size": 32, "intermediate_size": 64},
    "Gemma3TextConfig": {"hidden_size": 32, "intermediate_size": 64, "head_dim": 16},
    "PhiConfig": {"hidden_size": 32, "intermediate_size": 64},
}
ENDS = {
    "GPT2Config": ("attn.c_proj", "mlp.c_proj"),
    "OPTConfig": ("self_attn.out_proj", "fc2"),
    "GPTNeoXConfig": ("attention.dense", "mlp.dense_4h_to_h"),
    "Qwen3Config": ("self_attn.o_proj", "mlp.down_proj"),
    "Gemma3TextConfig": ("self_attn.o_proj", "mlp.down_proj"),
    "PhiConfig": ("self_attn.dense", "mlp.fc2"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_ends_of_blocks_are_found_in_every_architecture(name: str) -> None:
    model = built(name)
    ends = list(layers.block_ends(model))
    assert len(ends) == 3
    for layer, attention, feed_forward in ends:
        assert (attention, feed_forward) == tuple(f"{layer}.{end}" for end in ENDS[name])


@pytest.mark.parametrize("name", CONFIGS)
def test_biases_go_to_all_linear_layers_and_norms_that_have_one(name: str) -> None:
    model = built(name)
    found = {path: outputs for path, _, outputs in layers.layers_with_bias(model)}
    own = {
        path.removesuffix(".bias"): len(p)
        for path, p in model.named_parameters()
        if path.endswith(".bias")
    }
    assert own.items() <= found.items() | {("embed_out", 0), ("lm_head", 50)}
    assert not {"lm_head", "embed_out"} & found.keys()


def built(name: str) -> Any:
    import torch
    import transformers

    sizes = {"num_hidden_layers": 3, "num_attention_heads": 2} | CONFIGS[name]
    if name == "GPT2Config":
        sizes = dict(CONFIGS[name])
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    config = getattr(transformers, name)(vocab_size=50, **ids, **sizes)
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config)


STACKS = {
    "T5Config": {
        "encoder.block": ("layer.0.SelfAttention.o", "layer.1.DenseReluDense.wo"),
        "decoder.block": ("layer.0.SelfAttention.o", "layer.2.DenseReluDense.wo"),
    },
    "BartConfig": {
        "model.encoder.layers": ("self_attn.out_proj", "fc2"),
        "model.decoder.layers": ("self_attn.out_proj", "fc2"),
    },
}
"""Of encoder-decoder models; their cross-attention is left out, as in the study."""

SIZES = {
    "T5Config": {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 2, "num_heads": 2},
    "BartConfig": {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
    },
}


@pytest.mark.parametrize("name", STACKS)
def test_both_stacks_of_an_encoder_decoder_model_have_ends(name: str) -> None:
    import torch
    import transformers

    config = getattr(transformers, name)(vocab_size=50, **SIZES[name])
    with torch.device("meta"):
        model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    wanted = [
        (f"{stack}.{n}", f"{stack}.{n}.{attention}", f"{stack}.{n}.{feed_forward}")
        for stack, (attention, feed_forward) in STACKS[name].items()
        for n in range(2)
    ]
    assert list(layers.block_ends(model)) == wanted


def test_stacks_of_different_depth_have_all_their_ends(tmp_path: Path) -> None:
    """T5 numbers the parts of a layer too: two in its encoder, three in its decoder."""
    import torch

    from benchbench.models.base import BaseModel
    from tests.conftest import write_t5

    folder = write_t5(tmp_path / "model", num_layers=2, num_decoder_layers=3)
    ends = list(layers.block_ends(BaseModel(folder).load(torch.float32)))
    assert [layer for layer, *_ in ends] == [
        *(f"encoder.block.{n}" for n in range(2)),
        *(f"decoder.block.{n}" for n in range(3)),
    ]


def test_a_model_without_such_blocks_is_one_sentence() -> None:
    import torch

    model: Any = built("GPT2Config")
    for layer in model.transformer.h:
        layer.attn = torch.nn.Identity()
    with pytest.raises(ValueError, match="no attention and feed-forward block"):
        list(layers.block_ends(model))


def test_architectures_know_their_layers(tiny_model: Path) -> None:
    base = BaseModel(tiny_model).architecture
    assert base.hidden == 64 and base.cache[0] == 2
    assert {"model.layers.0.mlp", "model.norm", *base.linear} <= base.layers

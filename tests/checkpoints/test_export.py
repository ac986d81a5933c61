"""What training leaves, for every kind of change, is served as it was trained."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchbench.checkpoints import parity
from benchbench.checkpoints.export import Exporter, has_parameters_of
from benchbench.checkpoints.lora import Adapter
from benchbench.checkpoints.weights import has_own_head, is_tied, write_untied
from benchbench.engines.choice import open_engine
from benchbench.engines.engine import EngineSettings
from benchbench.models import logprobs
from benchbench.models.base import BaseModel
from tests.conftest import write_gpt2
from tests.toys import checkpoints

# PEFT warns of much that is tested here: tied heads, layers it does not know, merges it refuses.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

PROMPTS = [[0, *((3 + 7 * i + 5 * j) % 317 for j in range(4 + i))] for i in range(6)]

Make = Callable[[Any], Any]


def read(model: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    network.name_or_path = "tiny"
    return network.eval()


def wrapped(kind: str, **options: Any) -> Make:
    """Wrap by PEFT, and change what is trained as a training would."""

    def make(model: Any) -> Any:
        import peft
        import torch

        torch.manual_seed(1)
        network = peft.get_peft_model(
            model, getattr(peft, kind)(task_type="CAUSAL_LM", **options)
        ).eval()
        for weights in network.parameters():
            if weights.requires_grad:
                weights.data.add_(torch.randn_like(weights) * 0.05)
        return network

    return make


def all_weights(model: Any) -> Any:
    import torch

    torch.manual_seed(1)
    for weights in model.parameters():
        weights.data.add_(torch.randn_like(weights) * 0.02)
    return model


def started(model: Any) -> Any:
    """Start as LoRA-GA does, from a gradient; the base model's weights change with it."""
    import peft
    import torch
    from peft.tuners.lora.config import LoraGAConfig
    from peft.tuners.lora.loraga import preprocess_loraga

    names = ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.v_proj"]
    config = peft.LoraConfig(
        r=4,
        target_modules=names,
        init_lora_weights="lora_ga",
        lora_ga_config=LoraGAConfig(),
        task_type="CAUSAL_LM",
    )
    ids = torch.tensor(PROMPTS[:1])
    preprocess_loraga(model, config, lambda: model(input_ids=ids, labels=ids).loss.backward())
    network = peft.get_peft_model(model, config)
    for weights in network.parameters():
        if weights.requires_grad:
            weights.data.add_(torch.randn_like(weights) * 0.02)
    return network


LINEAR = {"target_modules": "all-linear"}
KINDS: dict[str, tuple[Make, str]] = {
    "all weights": (all_weights, "weights"),
    "lora": (wrapped("LoraConfig", **LINEAR), "lora"),
    "lora with rsLoRA's scale": (wrapped("LoraConfig", r=5, use_rslora=True, **LINEAR), "lora"),
    "lora with ranks by layer": (
        wrapped("LoraConfig", rank_pattern={"q_proj": 3}, alpha_pattern={"q_proj": 7}, **LINEAR),
        "lora",
    ),
    "dora": (wrapped("LoraConfig", use_dora=True, **LINEAR), "weights"),
    "pissa": (wrapped("LoraConfig", r=4, init_lora_weights="pissa", **LINEAR), "lora"),
    "olora": (wrapped("LoraConfig", r=4, init_lora_weights="olora", **LINEAR), "lora"),
    "adalora": (wrapped("AdaLoraConfig", total_step=9, init_r=6, target_r=4, **LINEAR), "lora"),
    "hra": (wrapped("HRAConfig", r=4, **LINEAR), "lora"),
    "loha": (wrapped("LoHaConfig", r=3, **LINEAR), "lora"),
    "ia3": (wrapped("IA3Config"), "weights"),
    "oft": (wrapped("OFTConfig", oft_block_size=16, **LINEAR), "weights"),
    "norms": (wrapped("LNTuningConfig"), "weights"),
    "norm beside lora": (
        wrapped("LoraConfig", target_modules=["q_proj"], modules_to_save=["norm"]),
        "weights",
    ),
    "head beside lora": (
        wrapped("LoraConfig", target_modules=["q_proj"], modules_to_save=["lm_head"]),
        "weights",
    ),
    "embeddings and head": (  # tied: PEFT's merge changes both and is wrong
        wrapped("LoraConfig", target_modules=["embed_tokens", "lm_head"]),
        "transformers",
    ),
    "some tokens": (
        wrapped("LoraConfig", target_modules=["q_proj"], trainable_token_indices=[5, 6]),
        "weights",
    ),
    "lora-ga's start": (lambda model: started(model), "lora"),
    "bias beside lora": (wrapped("LoraConfig", lora_bias=True, **LINEAR), "transformers"),
    "adaption prompt": (
        wrapped("AdaptionPromptConfig", adapter_len=4, adapter_layers=2),
        "transformers",
    ),
    "prompt tuning": (wrapped("PromptTuningConfig", num_virtual_tokens=5), "soft_prompt"),
    "p-tuning": (
        wrapped("PromptEncoderConfig", num_virtual_tokens=5, encoder_hidden_size=16),
        "soft_prompt",
    ),
    "prefix tuning": (wrapped("PrefixTuningConfig", num_virtual_tokens=5), "prefix"),
    "projected prefix": (
        wrapped(
            "PrefixTuningConfig",
            num_virtual_tokens=5,
            prefix_projection=True,
            encoder_hidden_size=16,
        ),
        "prefix",
    ),
}


def exporter(model: Path) -> Exporter:
    return Exporter(
        read_base=lambda: read(model),
        base=BaseModel(model),
        prompts=PROMPTS,
        precision="float32",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exported_is_what_was_trained(kind: str, tiny_model: Path, tmp_path: Path) -> None:
    make, route = KINDS[kind]
    trained = make(read(tiny_model))
    wanted = logprobs.token_logprobs(trained.eval(), PROMPTS)
    base = logprobs.token_logprobs(read(tiny_model), PROMPTS)
    assert parity.largest_difference(wanted, base) > 0.01
    folder = tmp_path / "run"
    folder.mkdir()
    assert exporter(tiny_model).write(trained, folder) == route
    (folder / "README.md").unlink(missing_ok=True)

    model = tiny_model
    if route == "weights" and has_own_head(folder, BaseModel(tiny_model)):
        assert kind == "head beside lora"
        model = tmp_path / "untied"
        write_untied(BaseModel(tiny_model), model)
    checkpoint = checkpoints.checkpoint(folder, route)
    settings = EngineSettings(model=BaseModel(model), precision="float32", max_tokens=64)
    engine = open_engine("transformers", settings, [checkpoint])
    engine.load([checkpoints.base(model), checkpoint])
    assert parity.largest_difference(engine.logprobs("run", PROMPTS), wanted) < 1e-4
    assert parity.largest_difference(engine.logprobs("base", PROMPTS), base) < 1e-5
    engine.close()


def test_weights_are_merged_in_float32_and_rounded_once(tiny_model: Path, tmp_path: Path) -> None:
    """Rounded before it is added, a small update would vanish."""
    import torch
    from safetensors.torch import load_file

    make, _ = KINDS["dora"]
    merged = make(read(tiny_model)).merge_and_unload().state_dict()
    rounding = replace(exporter(tiny_model), precision="bfloat16")
    assert rounding.write(make(read(tiny_model)), tmp_path) == "weights"
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        assert torch.equal(tensor, merged[name].to(torch.bfloat16)), name


def test_a_network_of_ones_own_is_refused_with_the_way_to_serve_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    import torch

    model = read(tiny_model)
    model.model.layers[0].gate = torch.nn.Linear(64, 64)
    with pytest.raises(ValueError, match=r"has model.layers.0.gate.bias.* benchbench.modules"):
        exporter(tiny_model).write(model, tmp_path)


def test_what_peft_loses_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """A method whose effect is neither in the weights nor in what PEFT saves."""
    trained = wrapped("AdaptionPromptConfig", adapter_len=4, adapter_layers=2)(read(tiny_model))
    trained.register_forward_hook(lambda module, args, output: shifted(output))
    with pytest.raises(ValueError, match=r"neither merge nor save .* export"):
        exporter(tiny_model).write(trained, tmp_path)


def shifted(output: Any) -> Any:
    output.logits[..., 5] += 3.0
    return output


def test_a_model_with_other_parameters_is_not_merged(tiny_model: Path) -> None:
    import torch

    base, other = read(tiny_model), read(tiny_model)
    assert has_parameters_of(base, other)
    other.model.norm.bias = torch.nn.Parameter(torch.zeros(64))
    assert not has_parameters_of(base, other)
    assert not has_parameters_of(base, None)


def test_an_untied_copy_computes_the_same(tiny_model: Path, tmp_path: Path) -> None:
    write_untied(BaseModel(tiny_model), tmp_path / "copy")
    copy = read(tmp_path / "copy")
    assert not is_tied(copy) and is_tied(read(tiny_model))
    assert has_own_head(tmp_path / "copy", BaseModel(tiny_model))
    assert not has_own_head(tiny_model, BaseModel(tmp_path / "copy"))
    assert logprobs.token_logprobs(copy, PROMPTS) == logprobs.token_logprobs(
        read(tiny_model), PROMPTS
    )


def test_gpt2_is_adapted_trained_exported_and_served(tmp_path: Path) -> None:
    """Its linear layers are not torch's, and keep their weights the other way round."""
    import torch

    from benchbench import MethodSpec
    from benchbench.registry.registry import Registry

    base = write_gpt2(tmp_path / "gpt2")
    model = Registry.load().method(MethodSpec(name="lora")).adapt(read(base), None)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.1)
    tokens = torch.tensor(PROMPTS[:1])
    for _ in range(2):  # B is zero at first
        model(tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    wanted = logprobs.token_logprobs(model.eval(), PROMPTS)
    folder = tmp_path / "run"
    folder.mkdir()
    assert exporter(base).write(model, folder) == "lora"
    adapter = Adapter.read(folder, BaseModel(base))
    assert adapter.targets == ("c_attn", "c_fc", "c_proj")
    made = checkpoints.checkpoint(folder, "lora")
    settings = EngineSettings(model=BaseModel(base), precision="float32", max_tokens=64)
    engine = open_engine("transformers", settings, [made])
    engine.load([made, checkpoints.base(base)])
    assert parity.largest_difference(engine.logprobs("run", PROMPTS), wanted) < 1e-4
    assert parity.largest_difference(engine.logprobs("base", PROMPTS), wanted) > 1e-2
    engine.close()

"""vLLM engines of their own, one after the other: each test opens and closes what it needs.

They live apart from the tests that share one engine, which the end of any other engine stops:
vLLM's process groups are shared.
"""

import importlib.util
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchbench.checkpoints.modules import AddedModule
from benchbench.engines.engine import Engine
from benchbench.engines.vllm.calls import Vllm
from benchbench.errors import CheckpointError, EngineError
from benchbench.models.architecture import Architecture
from benchbench.models.layers import block_ends
from benchbench.records.record import Checkpoint
from tests.conftest import write_gpt2, write_tokenizer
from tests.toys import checkpoints
from tests.toys.served import PROMPTS, answers, opened, settings_of

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]


@pytest.fixture(scope="module")
def reference(tiny_model: Path) -> Iterator[Engine]:
    engine = opened("transformers", settings_of(tiny_model), [checkpoints.base(tiny_model)])
    yield engine
    engine.close()


def test_of_a_folders_own_defaults_only_its_ends_count(
    tiny_model: Path, reference: Engine, tmp_path: Path
) -> None:
    said = Counter(t for c in answers(reference, "base").values() for t in c.tokens[0])
    end = said.most_common(1)[0][0]
    model = shutil.copytree(tiny_model, tmp_path / "model")
    defaults = {"eos_token_id": [1, end], "repetition_penalty": 3.0, "do_sample": True, "top_k": 2}
    (model / "generation_config.json").write_text(json.dumps(defaults))
    settings = settings_of(model)
    found = []
    for name in ("vllm", "transformers"):
        engine = opened(name, settings, [checkpoints.base(model)])
        found.append(answers(engine, "base"))
        engine.close()
    assert found[0] == found[1]
    for name, completion in answers(reference, "base").items():
        whole = completion.tokens[0]
        cut = whole[: whole.index(end) + 1] if end in whole else whole
        assert found[0][name].tokens[0] == cut


def test_more_adapters_than_slots_are_served_in_turns(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchbench.engines.vllm.engine.SLOTS", 2)
    ranks = {"a": 1, "b": 8, "c": 3, "d": 16, "e": 5}
    made = [
        checkpoints.lora(tmp_path / name, tiny_model, rank=rank, seed=rank)
        for name, rank in ranks.items()
    ]
    settings = settings_of(tiny_model)
    found = []
    for name in ("vllm", "transformers"):
        engine = opened(name, settings, made)
        found.append(answers(engine, *ranks))
        engine.close()
    assert found[0] == found[1]


def test_an_adapter_on_other_layers_than_the_engine_was_opened_for(
    tiny_model: Path, reference: Engine, tmp_path: Path
) -> None:
    settings = settings_of(tiny_model)
    engine = opened("vllm", settings, [checkpoints.base(tiny_model)])
    with pytest.raises(EngineError, match=r"opened for .* no layer"):
        engine.load([checkpoints.lora(tmp_path / "lora", tiny_model)])
    assert answers(engine, "base") == answers(reference, "base")
    engine.close()


def test_a_step_that_fails_closes_the_engine(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM would wait for ever for the requests it has lost."""
    settings = settings_of(tiny_model)
    engine = opened("vllm", settings, [checkpoints.base(tiny_model)])

    def fail() -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(engine._live.vllm, "step", fail)  # type: ignore[attr-defined]
    with pytest.raises(EngineError, match="out of luck"):
        answers(engine, "base")
    with pytest.raises(EngineError, match="closed"):
        answers(engine, "base")


def test_vllm_leaves_standard_output_and_the_environment_alone(
    tiny_model: Path, reference: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(tiny_model)
    made = [checkpoints.full(tmp_path / "full", tiny_model)]
    engine = opened("vllm", settings, made)
    reference.load(made)
    assert answers(engine, "full") == answers(reference, "full")
    engine.close()
    assert capfd.readouterr().out == ""
    assert "tcmalloc" not in os.environ.get("LD_PRELOAD", "")


def test_what_vllm_does_not_serve_the_other_engine_does(tmp_path: Path) -> None:
    model = write_gpt2(tmp_path / "model")
    made = [checkpoints.lora(tmp_path / "adapter", model)]
    settings = settings_of(model)
    with pytest.raises(EngineError, match=r"GPT2LMHeadModel.*use --engine transformers"):
        opened("vllm", settings, made)
    engine = opened("transformers", settings, made)
    assert len(answers(engine, "adapter")) == len(PROMPTS)
    engine.close()


def test_a_run_whose_new_adapter_is_refused_is_not_answered_by_the_base_model(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tiny_model)
    adapter = checkpoints.lora(tmp_path / "run", tiny_model, seed=1)
    engine = opened("vllm", settings, [adapter])

    def refuse(*_: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(engine._live.vllm, "add_adapter", refuse)  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match="vLLM refuses"):
        engine.load([checkpoints.lora(tmp_path / "run", tiny_model, seed=2)])
    with pytest.raises(EngineError, match="run run is not loaded"):
        answers(engine, "run")
    engine.close()


def test_an_untied_model_is_swapped_too(untied_model: Path, tmp_path: Path) -> None:
    made = [checkpoints.base(untied_model), checkpoints.full(tmp_path / "full", untied_model)]
    settings = settings_of(untied_model)
    found = []
    for name in ("vllm", "transformers"):
        engine = opened(name, settings, made)
        found.append([answers(engine, "base"), answers(engine, "full"), answers(engine, "base")])
        engine.close()
    assert found[0] == found[1]
    with pytest.raises(EngineError, match="closed"):
        answers(engine_closed(untied_model, made), "base")


def engine_closed(model: Path, made: list[Checkpoint]) -> Engine:
    settings = settings_of(model)
    engine = opened("vllm", settings, made[:1])
    engine.close()
    return engine


FAMILIES: dict[str, dict[str, int]] = {
    "LlamaConfig": {"intermediate_size": 128, "num_key_value_heads": 1, "head_dim": 32},
    "Gemma3TextConfig": {"intermediate_size": 128, "num_key_value_heads": 1, "head_dim": 32},
    "OPTConfig": {"ffn_dim": 128, "word_embed_proj_dim": 64},
}


@pytest.mark.parametrize("family", ["Gemma3TextConfig", "OPTConfig"])
def test_learned_prompts_and_modules_fit_other_architectures(family: str, tmp_path: Path) -> None:
    """Their layers are fused and named in other ways, and OPT's positions are learned."""
    model = written(family, tmp_path / "model")
    made = [
        checkpoints.base(model),
        checkpoints.lora(tmp_path / "lora", model),
        checkpoints.soft_prompt(tmp_path / "soft", model),
        checkpoints.prefix(tmp_path / "prefix", model),
        checkpoints.added(tmp_path / "biases", model, checkpoints.biases),
        checkpoints.added(tmp_path / "ends", model, lambda base: ends(model)),
    ]
    found = []
    for name in ("vllm", "transformers"):
        engine = opened(name, settings_of(model), made)
        found.append(answers(engine, *(checkpoint.run_id for checkpoint in made)))
        engine.close()
    assert found[0] == found[1]
    assert len({c.tokens for c in found[0].values()}) > len(made)


@pytest.mark.parametrize("family", ["LlamaConfig", "OPTConfig"])
def test_a_compiled_model_serves_what_is_put_into_it(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on GPUs: what is traced once must see each checkpoint, and none of the one before."""
    monkeypatch.setenv("VLLM_CPU_CI_ENV", "1")  # traces the model, and leaves out the C++ compiler
    monkeypatch.setattr(
        "benchbench.engines.vllm.engine.Vllm",
        lambda options, **places: Vllm(dict(options) | {"enforce_eager": False}, **places),
    )
    model = written(family, tmp_path / "model")
    made = [
        checkpoints.base(model),
        checkpoints.prefix(tmp_path / "long", model),
        checkpoints.prefix(tmp_path / "short", model, tokens=2, seed=1),
        checkpoints.added(tmp_path / "biases", model, checkpoints.biases),
        checkpoints.added(tmp_path / "ends", model, lambda base: ends(model)),
        checkpoints.full(tmp_path / "full", model),
    ]
    turns = [checkpoint.run_id for checkpoint in (*made, *reversed(made))]
    found = []
    for name in ("vllm", "transformers"):
        engine = opened(name, settings_of(model), made)
        found.append([answers(engine, run_id) for run_id in turns])
        engine.close()
    assert found[0] == found[1]
    assert len({c.tokens for answer in found[0] for c in answer.values()}) > len(made)


def test_modules_for_which_an_engine_was_not_opened_are_refused(
    tiny_model: Path, tmp_path: Path
) -> None:
    narrow = checkpoints.added(tmp_path / "narrow", tiny_model, lambda base: bottleneck(base, 4))
    wide = checkpoints.added(tmp_path / "wide", tiny_model, lambda base: bottleneck(base, 5))
    engine = opened("vllm", settings_of(tiny_model), [wide, narrow])
    assert answers(engine, "wide") != answers(engine, "narrow")
    engine.close()
    engine = opened("vllm", settings_of(tiny_model), [narrow])
    with pytest.raises(EngineError, match=r"width 5 to .*o_proj.* opened for no such one"):
        engine.load([wide])
    with pytest.raises(EngineError, match="opened for up to 0 of its kind"):
        engine.load([checkpoints.prefix(tmp_path / "prefix", tiny_model)])
    engine.close()


def bottleneck(base: Architecture, width: int) -> list[AddedModule]:
    place = "model.layers.0.self_attn.o_proj"
    return [AddedModule(layer=place, inputs=base.hidden, outputs=base.hidden, width=width)]


def written(family: str, folder: Path) -> Path:
    import torch
    import transformers

    write_tokenizer(folder)
    torch.manual_seed(0)
    sizes = {"vocab_size": 320, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = getattr(transformers, family)(
        **(sizes | FAMILIES[family]),
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "norm" not in name:
                weights.mul_(4)
    model.save_pretrained(folder)
    return folder


def ends(model: Path) -> list[AddedModule]:
    from transformers import AutoModelForCausalLM

    found = block_ends(AutoModelForCausalLM.from_pretrained(model))
    return [
        AddedModule(layer=path, inputs=64, outputs=64, width=8)
        for _, attention, feed_forward in found
        for path in (attention, feed_forward)
    ]

"""Base models of both kinds, read from safetensors."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench.errors import ModelError
from benchbench.models import logprobs
from benchbench.models.base import BaseModel
from tests.conftest import write_t5

PROMPTS = [[5, 9, 30, 44, 7, 1], [61, 61, 12, 90, 250, 3, 8, 1]]


def is_tied(model: Any) -> bool:
    return model.get_output_embeddings().weight is model.get_input_embeddings().weight


@pytest.mark.parametrize(
    ("fixture", "kind", "tied"),
    [
        ("tiny_model", "LlamaForCausalLM", True),
        ("untied_model", "LlamaForCausalLM", False),
        ("tiny_t5", "T5ForConditionalGeneration", True),
        ("untied_t5", "T5ForConditionalGeneration", False),
    ],
)
def test_a_model_is_read_as_what_it_is(
    fixture: str, kind: str, tied: bool, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(fixture)
    model, base = BaseModel(folder).load(torch.float32), BaseModel(folder).architecture
    assert type(model).__name__ == base.name == kind
    assert is_tied(model) == base.tied == model.config.tie_word_embeddings == tied
    assert base.encoder_decoder == BaseModel(folder).encoder_decoder == (kind[:2] == "T5")
    assert (f"{base.head}.weight" in base.aliases) == tied


@pytest.mark.parametrize("fixture", ["tiny_t5", "untied_t5"])
def test_a_t5_that_is_saved_and_read_again_computes_the_same(
    fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """transformers scales the output of those that are tied, and calls all of them tied."""
    model = BaseModel(request.getfixturevalue(fixture)).load(torch.float32).eval()
    wanted = logprobs.token_logprobs(model, PROMPTS)
    for again in ("once", "twice"):
        model.tie_weights()
        model.save_pretrained(tmp_path / again)
        model = BaseModel(tmp_path / again).load(torch.float32).eval()
        assert logprobs.token_logprobs(model, PROMPTS) == wanted


def test_the_head_of_a_t5_is_its_own_only_if_it_differs(tmp_path: Path, tiny_t5: Path) -> None:
    """Older files hold what is tied twice."""
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_t5, tmp_path / "twice")
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["shared.weight"].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert BaseModel(folder).architecture.tied and is_tied(BaseModel(folder).load(torch.float32))


def test_keys_and_values_of_an_encoder_decoder_are_the_decoders(tmp_path: Path) -> None:
    base = BaseModel(write_t5(tmp_path / "model", num_decoder_layers=3)).architecture
    assert base.cache == (3, 2, 16)
    assert "decoder.block.2.layer.1.EncDecAttention.q" in base.linear


def test_pickles_are_not_read(tiny_t5: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_t5, tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        BaseModel(folder).load(torch.float32)


def test_a_folder_without_a_configuration_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        BaseModel(tmp_path).load(torch.float32)

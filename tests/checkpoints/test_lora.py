"""Checkpoints are checked by our own rules before any engine sees them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchbench.checkpoints.lora import Adapter
from benchbench.checkpoints.weights import Weights
from benchbench.errors import CheckpointError
from benchbench.models.base import BaseModel
from tests.conftest import write_model
from tests.toys.checkpoints import change_config, change_tensor, full, lora

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


@pytest.fixture(scope="module")
def good(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lora(tmp_path_factory.mktemp("adapters") / "good", tiny_model).folder


@pytest.fixture(scope="module")
def whole(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full(tmp_path_factory.mktemp("weights") / "whole", tiny_model).folder


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> BaseModel:
    return BaseModel(tiny_model)


def test_the_architecture_is_read_without_its_weights(base: BaseModel) -> None:
    architecture = base.architecture
    assert architecture.linear["model.layers.1.mlp.down_proj"] == (64, 128)
    assert architecture.linear["model.layers.0.self_attn.k_proj"] == (32, 64)
    assert len(architecture.linear) == 2 * 7
    assert (architecture.head, architecture.tied) == ("lm_head", True)


def test_a_good_adapter_passes(good: Path, base: BaseModel) -> None:
    adapter = Adapter.read(good, base)
    assert adapter.rank == 4
    assert "q_proj" in adapter.targets


def truncate(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def set_value(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        changed = tensor.clone()
        changed[0, 0] = value
        return changed

    return change


def drop_layer(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / WEIGHTS)
    kept = {k: v for k, v in tensors.items() if "layers.1.mlp.up_proj" not in k}
    save_file(kept, folder / WEIGHTS)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, f"{WEIGHTS}.*not a whole safetensors file"),
    "garbage": (lambda f: (f / WEIGHTS).write_bytes(b"x" * 99), "not a whole safetensors file"),
    "empty file": (lambda f: (f / WEIGHTS).write_bytes(b""), "not a whole safetensors file"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), f"lacks {WEIGHTS}"),
    "no config": (lambda f: (f / CONFIG).unlink(), f"{CONFIG}.*cannot be read"),
    "bad config": (lambda f: (f / CONFIG).write_text("{"), f"{CONFIG}.*cannot be read"),
    "pickle": (lambda f: (f / "adapter_model.bin").write_bytes(b"x"), "may run code"),
    "nan": (lambda f: change_tensor(f / WEIGHTS, "lora_B", set_value(float("nan"))), "NaN"),
    "infinite": (lambda f: change_tensor(f / WEIGHTS, "lora_A", set_value(float("inf"))), "NaN"),
    "other type": (lambda f: change_config(f / CONFIG, peft_type="LOHA"), "'LOHA'"),
    "dora": (lambda f: change_config(f / CONFIG, use_dora=True), "use_dora.*more than plain"),
    "bias": (lambda f: change_config(f / CONFIG, bias="all"), "bias.*more than plain"),
    "pissa": (lambda f: change_config(f / CONFIG, init_lora_weights="pissa"), "more than plain"),
    "rank": (lambda f: change_config(f / CONFIG, r=8), r"rank 8 on this base model needs \(8, "),
    "rank 0": (lambda f: change_config(f / CONFIG, r=0), "must be a whole number above 0"),
    "layer missing": (drop_layer, r"lacks the weights of model\.layers\.1\.mlp\.up_proj"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_adapter_is_one_sentence(
    name: str, good: Path, base: BaseModel, tmp_path: Path
) -> None:
    breaks, message = BROKEN[name]
    folder = shutil.copytree(good, tmp_path / "adapter")
    breaks(folder)
    with pytest.raises(CheckpointError, match=message) as error:
        Adapter.read(folder, base)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [{"hidden_size": 32}, {"hidden_size": 96}, {"num_hidden_layers": 3}],
)
def test_an_adapter_of_another_base_is_refused(
    changes: dict[str, int], base: BaseModel, tmp_path: Path
) -> None:
    """vLLM pads the smaller one, ignores the deeper one's layers, and says nothing."""
    other = write_model(tmp_path / "other", **changes)
    with pytest.raises(CheckpointError, match=r"base model"):
        Adapter.read(lora(tmp_path / "adapter", other).folder, base)


def test_an_adapter_of_a_base_with_fewer_layers_is_refused(tmp_path: Path) -> None:
    three, four = (
        write_model(tmp_path / str(layers), num_hidden_layers=layers) for layers in (3, 4)
    )
    with pytest.raises(CheckpointError, match=r"lacks the weights of model\.layers\.3"):
        Adapter.read(lora(tmp_path / "adapter", three).folder, BaseModel(four))


def test_good_weights_pass(whole: Path, base: BaseModel, tiny_model: Path) -> None:
    Weights.read(whole, base)


def test_broken_weights_are_one_sentence(
    whole: Path, base: BaseModel, tiny_model: Path, tmp_path: Path
) -> None:
    nan = shutil.copytree(whole, tmp_path / "nan")
    change_tensor(nan / "model.safetensors", "norm", lambda t: t * float("nan"))
    with pytest.raises(CheckpointError, match="NaN"):
        Weights.read(nan, base)
    short = shutil.copytree(whole, tmp_path / "short")
    path = short / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        Weights.read(short, base)
    (short / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"lacks model.safetensors"):
        Weights.read(short, base)


def test_tied_and_untied_weights_are_not_mixed(
    base: BaseModel, tiny_model: Path, untied_model: Path, tmp_path: Path
) -> None:
    """Swapped in, the head would silently stay another model's."""
    untied = full(tmp_path / "untied", untied_model).folder
    with pytest.raises(CheckpointError, match=r"tie_word_embeddings|lm_head"):
        Weights.read(untied, base)
    tied = full(tmp_path / "tied", tiny_model).folder
    with pytest.raises(CheckpointError, match=r"tie_word_embeddings|lm_head"):
        Weights.read(tied, BaseModel(untied_model))


def test_weights_of_other_dimensions_are_refused(
    base: BaseModel, tiny_model: Path, tmp_path: Path
) -> None:
    other = write_model(tmp_path / "other", intermediate_size=96)
    with pytest.raises(CheckpointError, match="intermediate_size=96"):
        Weights.read(other, base)

"""Checkpoints that must not be served: each is one sentence before any engine sees it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchbench.checkpoints.learned import Prefix, SoftPrompt
from benchbench.checkpoints.routes import read_checkpoint
from benchbench.errors import CheckpointError
from benchbench.models.base import BaseModel
from benchbench.records.record import Checkpoint
from tests.conftest import write_model
from tests.toys import checkpoints

Break = Callable[[Path], object]


def rewritten(name: str, change: Callable[[str], str]) -> Break:
    def apply(folder: Path) -> None:
        (folder / name).write_text(change((folder / name).read_text()))

    return apply


def nan(name: str) -> Break:
    def apply(folder: Path) -> None:
        checkpoints.change_tensor(folder / name, "", lambda t: t * float("nan"))

    return apply


def grown(name: str) -> Break:
    def apply(folder: Path) -> None:
        checkpoints.change_tensor(folder / name, "", lambda t: t.repeat(2, *[1] * (t.ndim - 1)))

    return apply


BROKEN: dict[str, tuple[str, Break, str]] = {
    "soft prompt with NaN": ("soft_prompt", nan("soft_prompt.safetensors"), "NaN or infinity"),
    "no soft prompt": (
        "soft_prompt",
        lambda folder: (folder / "soft_prompt.safetensors").unlink(),
        "holds no soft_prompt.safetensors",
    ),
    "cut soft prompt": (
        "soft_prompt",
        lambda folder: (folder / "soft_prompt.safetensors").write_bytes(b"1234"),
        "not a whole safetensors file",
    ),
    "prefix of more layers": ("prefix", grown("prefix.safetensors"), "of another base model"),
    "code beside it": (
        "prefix",
        lambda folder: (folder / "prefix.py").write_text("print(1)"),
        "prefix.py; only .safetensors",
    ),
    "modules with NaN": ("modules", nan("modules.safetensors"), "NaN or infinity"),
    "modules of other shapes": ("modules", grown("modules.safetensors"), "not what its modules"),
    "modules elsewhere": (
        "modules",
        rewritten("modules.json", lambda text: text.replace("layers.0", "layers.7")),
        "not what its modules.json says",
    ),
    "modules of unknown fields": (
        "modules",
        rewritten("modules.json", lambda text: text.replace('"width"', '"depth"')),
        "cannot be read",
    ),
    "no list of modules": (
        "modules",
        lambda folder: (folder / "modules.json").write_text("{"),
        "cannot be read",
    ),
}


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("whole")
    return {
        "soft_prompt": checkpoints.soft_prompt(folder / "soft", tiny_model),
        "prefix": checkpoints.prefix(folder / "prefix", tiny_model),
        "modules": checkpoints.added(folder / "modules", tiny_model, checkpoints.bottlenecks),
    }


def copied(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    import shutil

    return replace(checkpoint, folder=shutil.copytree(checkpoint.folder, folder))


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_checkpoint_is_one_sentence(
    fault: str, made: dict[str, Checkpoint], tiny_model: Path, tmp_path: Path
) -> None:
    route, harm, text = BROKEN[fault]
    checkpoint = copied(made[route], tmp_path / "copy")
    base = BaseModel(tiny_model)
    read_checkpoint(checkpoint, base, 1)
    harm(checkpoint.folder)
    with pytest.raises(CheckpointError, match=text):
        read_checkpoint(checkpoint, base, 1)


@pytest.mark.parametrize("route", ["soft_prompt", "prefix", "modules"])
def test_a_checkpoint_of_another_base_is_one_sentence(
    route: str, made: dict[str, Checkpoint], tmp_path: Path
) -> None:
    other = write_model(
        tmp_path / "other", hidden_size=128, num_attention_heads=4, num_hidden_layers=3
    )
    with pytest.raises(CheckpointError, match="of another base model"):
        read_checkpoint(made[route], BaseModel(other), 1)


def test_a_module_that_reads_what_is_not_there(
    made: dict[str, Checkpoint], tiny_model: Path, tmp_path: Path
) -> None:
    """The shapes agree with the description, and the description with nothing."""
    checkpoint = copied(made["modules"], tmp_path / "copy")
    path = checkpoint.folder / "modules.json"
    described = json.loads(path.read_text())
    described[1]["parallel"] = False
    path.write_text(json.dumps(described))
    with pytest.raises(CheckpointError, match=r"reads 128 numbers at .*, where the base model has"):
        read_checkpoint(checkpoint, BaseModel(tiny_model), 1)


@pytest.mark.parametrize("fault", ["no config", "no type", "NaN", "a pickle"])
def test_pefts_own_format_is_checked_too(fault: str, tiny_model: Path, tmp_path: Path) -> None:
    checkpoint = replace(checkpoints.lora(tmp_path / "run", tiny_model), route="transformers")
    base = BaseModel(tiny_model)
    read_checkpoint(checkpoint, base, 1)
    config = checkpoint.folder / "adapter_config.json"
    if fault == "no config":
        config.unlink()
    if fault == "no type":
        checkpoints.change_config(config, peft_type=None)
    if fault == "NaN":
        nan("adapter_model.safetensors")(checkpoint.folder)
    if fault == "a pickle":
        (checkpoint.folder / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError):
        read_checkpoint(checkpoint, base, 1)


def test_a_learned_prompt_knows_its_length() -> None:
    import torch

    assert SoftPrompt(torch.zeros(7, 3)).tokens == 7
    assert Prefix(torch.zeros(2, 1, 5, 4), torch.zeros(2, 1, 5, 4)).tokens == 5

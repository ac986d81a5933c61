"""Checkpoints for tests, made from a toy model: adapters and full weights that change its words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchbench import peft_model
from benchbench.checkpoints.learned import Prefix, SoftPrompt
from benchbench.checkpoints.modules import CHILD, AddedModule, attach, save
from benchbench.models.architecture import Architecture
from benchbench.models.base import BaseModel
from benchbench.records.record import Checkpoint
from benchbench.records.store import hash_folder


def base(model: Path) -> Checkpoint:
    return Checkpoint(run_id="base", route="base", sha256="", folder=model)


def lora(
    folder: Path, model: Path, *, rank: int = 4, seed: int = 0, scale: float = 0.3
) -> Checkpoint:
    """Write an adapter with random weights on every linear layer."""
    import torch

    network = peft_model(
        BaseModel(model).load(torch.float32),
        "LoraConfig",
        r=rank,
        lora_alpha=rank,
    )
    torch.manual_seed(seed)
    for name, weights in network.named_parameters():
        if "lora_B" in name:
            weights.data.normal_(0, scale)
    network.save_pretrained(folder)
    (folder / "README.md").unlink()
    return checkpoint(folder, "lora")


def full(folder: Path, model: Path, *, seed: int = 0, scale: float = 0.3) -> Checkpoint:
    """Write all weights of a model, each changed at random."""
    import torch

    network = BaseModel(model).load(torch.float32)
    torch.manual_seed(seed)
    for weights in network.parameters():
        weights.data.add_(torch.randn_like(weights) * scale * weights.std())
    network.save_pretrained(folder)
    return checkpoint(folder, "weights")


def soft_prompt(folder: Path, model: Path, *, tokens: int = 3, seed: int = 0) -> Checkpoint:
    """Write embeddings that are as large as the model's own."""
    import torch

    base = BaseModel(model).architecture
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    SoftPrompt(torch.randn(tokens, base.hidden) * 0.3).write(folder)
    return checkpoint(folder, "soft_prompt")


def prefix(folder: Path, model: Path, *, tokens: int = 4, seed: int = 0) -> Checkpoint:
    """Write random keys and values."""
    import torch

    layers, heads, size = BaseModel(model).architecture.cache
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    Prefix(*(torch.randn(layers, heads, tokens, size) for _ in range(2))).write(folder)
    return checkpoint(folder, "prefix")


def added(
    folder: Path, model: Path, describe: Callable[[Architecture], list[AddedModule]], seed: int = 0
) -> Checkpoint:
    """Write added modules with random weights."""
    import torch

    network = BaseModel(model).load(torch.float32)
    attach(network, describe(BaseModel(model).architecture))
    torch.manual_seed(seed)
    for name, weights in network.named_parameters():
        if f".{CHILD}." in name:
            weights.data.normal_(0, 0.3)
    folder.mkdir(parents=True, exist_ok=True)
    save(network, folder)
    return checkpoint(folder, "modules")


def biases(base: Architecture) -> list[AddedModule]:
    """Describe a bias on every linear layer, among them those that vLLM computes together."""
    return [
        AddedModule(layer=layer, inputs=inputs, outputs=outputs)
        for layer, (outputs, inputs) in base.linear.items()
    ]


def bottlenecks(base: Architecture) -> list[AddedModule]:
    """Describe one of each kind: after a layer, beside a layer, beside a whole block."""
    size = base.hidden
    return [
        AddedModule(layer="model.layers.0.self_attn.o_proj", inputs=size, outputs=size, width=8),
        AddedModule(
            layer="model.layers.0.mlp.down_proj",
            inputs=base.linear["model.layers.0.mlp.down_proj"][1],
            outputs=size,
            width=5,
            activation="silu",
            parallel=True,
        ),
        AddedModule(
            layer="model.layers.1.mlp",
            inputs=size,
            outputs=size,
            width=8,
            activation="gelu",
            scale=2.0,
            parallel=True,
        ),
    ]


def checkpoint(folder: Path, route: str, run_id: str = "") -> Checkpoint:
    """Describe a folder as the store would."""
    return Checkpoint(
        run_id=run_id or folder.name, route=route, sha256=hash_folder(folder), folder=folder
    )


def change_tensor(path: Path, name_part: str, change: Any) -> None:
    """Rewrite the first tensor whose name holds a text."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    name = next(n for n in sorted(tensors) if name_part in n)
    tensors[name] = change(tensors[name])
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)


def change_config(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))

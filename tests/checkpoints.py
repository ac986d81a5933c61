"""Checkpoints for tests, made from a toy model: adapters and full weights that change its words."""

import json
from pathlib import Path
from typing import Any

from benchbench.record import Checkpoint
from benchbench.store import hash_folder


def base(model: Path) -> Checkpoint:
    return Checkpoint(run_id="base", route="base", sha256="", folder=model)


def lora(
    folder: Path, model: Path, *, rank: int = 4, seed: int = 0, scale: float = 0.3
) -> Checkpoint:
    """Write an adapter with random weights on every linear layer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear")
    network = get_peft_model(network, config)
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
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    torch.manual_seed(seed)
    for weights in network.parameters():
        weights.data.add_(torch.randn_like(weights) * scale * weights.std())
    network.save_pretrained(folder)
    return checkpoint(folder, "weights")


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

"""What an interrupted training goes on from: whatever is trained, by name, for any method."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchbench import files
from benchbench.specs import digest
from benchbench.train import group

WEIGHTS = "trained.safetensors"

FROZEN = "frozen"
"""File that says beside which frozen weights the checkpoints were trained."""


def state(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield every tensor that training may change, by name, tied ones once."""
    yield from ((name, p) for name, p in model.named_parameters() if p.requires_grad)
    persistent = model.state_dict().keys()
    yield from ((name, b) for name, b in model.named_buffers() if name in persistent)


def write_state(model: Any, path: Path) -> None:
    """Write what training may change, as safetensors; all processes take part, the first writes."""
    from safetensors.torch import save_file

    kept = {}
    for name, tensor in state(model):
        whole = group.whole(tensor.detach())
        if group.rank() == 0:
            kept[name] = whole.contiguous()
    if group.rank():
        return
    with files.replacing(path) as part:
        save_file(kept, part)


def read_state(model: Any, path: Path) -> None:
    """Give a model the tensors that ``write_state`` wrote."""
    from safetensors.torch import load_file

    kept = load_file(path)
    for name, tensor in state(model):
        tensor.data.copy_(group.like(kept[name], tensor))


def same_start(work: Path, model: Any) -> Path | None:
    """Return the checkpoint to go on from, if it was trained beside the same frozen weights and on
    as many devices; else the checkpoints are deleted.

    Some methods compute frozen weights from the base model (PiSSA, LoRA-GA), and another machine or
    thread count may do that otherwise.
    """
    import torch

    frozen = {
        # In pieces: a sum of bytes takes eight times their memory, which would count as training's.
        name: sum(
            int(piece.sum(dtype=torch.int64))
            for piece in p.detach().reshape(-1).view(torch.uint8).split(1 << 22)
        )
        for name, p in model.named_parameters()
        if not p.requires_grad
    }
    # With other devices a step's parts, and the files that hold its state, are others.
    frozen |= {"processes": group.size(), "sharded": group.is_sharded(model)}
    now, path = digest(frozen), work / FROZEN
    found: Path | None = None
    if group.rank() == 0:
        if not path.exists() or path.read_text() != now:
            clear(work)
            work.mkdir(parents=True, exist_ok=True)
            path.write_text(now)
        found = latest_checkpoint(work)
    first: Path | None = group.gather(found)[0]
    return first


def clear(work: Path) -> None:
    """Delete every checkpoint; of several processes the first one does."""
    for checkpoint in work.glob("checkpoint-*") if group.rank() == 0 else ():
        shutil.rmtree(checkpoint)


def step_of(path: Path) -> int:
    """Return the step that a checkpoint's name ends in."""
    return int(path.stem.rpartition("-")[2])


def latest_checkpoint(work: Path) -> Path | None:
    """Return the last checkpoint that was written whole; delete those that were not."""
    found = sorted(work.glob("checkpoint-*"), key=step_of)
    while found:
        if _is_whole(found[-1]):
            return found[-1]
        shutil.rmtree(found.pop())
    return None


def _is_whole(checkpoint: Path) -> bool:
    """Tell whether a checkpoint can be read: a killed process leaves files cut short."""
    from safetensors import SafetensorError, safe_open

    try:
        # Trainer writes it last.
        json.loads((checkpoint / "trainer_state.json").read_bytes())
        with safe_open(checkpoint / WEIGHTS, framework="pt"):
            pass
    except (OSError, ValueError, SafetensorError):
        return False
    number = range(group.size())
    states = [f"rng_state_{n}.pth" for n in number] if len(number) > 1 else ["rng_state.pth"]
    pickles = ("optimizer.pt", "scheduler.pt", *states)  # random numbers: a file a process
    return all(zipfile.is_zipfile(checkpoint / name) for name in pickles)

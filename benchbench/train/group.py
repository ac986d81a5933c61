"""The processes that train one model together, one a device.

They meet in a file of the run's own folder, so that no port is opened for it. All functions are
right for a process that is alone too.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchbench import machine

RANK = "RANK"
SIZE = "WORLD_SIZE"
NAMES = (RANK, SIZE, "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""As torch and accelerate name what a process knows of its group."""

OPTIMIZER, SCHEDULER = "optimizer.pt", "scheduler.pt"
"""As Trainer names them."""

STATES = 16
"""Bytes a trained weight takes: in float32 itself, its gradient, and two moments of AdamW."""

MOST = 0.8
"""Part of a device's memory that these may take; activations need the rest."""


def environment(rank: int, size: int) -> Mapping[str, str]:
    """Return what a process of a group is told by its environment; nothing where it is alone."""
    if size == 1:
        return {}
    return {
        RANK: str(rank),
        SIZE: str(size),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(size),
        # Nobody listens there: who asks for it sees that the group is there already.
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "1",
        # What the processes tell one another stays on this machine.
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
    }


def rank() -> int:
    """Return which process of its group this is; the first one writes and reports."""
    return int(os.environ.get(RANK, "0"))


def size() -> int:
    return int(os.environ.get(SIZE, "1"))


def join(meeting: Path) -> None:
    """Meet the others at a file that does not exist before."""
    if size() == 1:
        return
    import torch

    cuda = machine.device() == "cuda"
    if cuda:
        torch.cuda.set_device(rank())
    torch.distributed.init_process_group(
        "nccl" if cuda else "gloo",
        init_method=f"file://{meeting.absolute()}",
        rank=rank(),
        world_size=size(),
    )


def gather(value: Any) -> list[Any]:
    """Return everybody's value, by rank; all wait for the last one."""
    if size() == 1:
        return [value]
    import torch

    found: list[Any] = [None] * size()
    torch.distributed.all_gather_object(found, value)
    return found


def leave() -> None:
    if size() > 1:
        import torch

        torch.distributed.destroy_process_group()


def is_wanted(model: Any, asked: bool) -> bool:
    """Whether weights are to be in parts: there are several devices, all weights are trained, and
    one device is too small for that, or it is asked for."""
    from transformers import PreTrainedModel

    if size() == 1 or not isinstance(model, PreTrainedModel):
        return False
    if not all(p.requires_grad for p in model.parameters()):
        return False
    if asked:
        return True
    memory = machine.device_memory()
    return (
        memory is not None and STATES * sum(p.numel() for p in model.parameters()) > MOST * memory
    )


def shard(model: Any) -> None:
    """Put a transformers model into parts, layer by layer; each process keeps its own."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(machine.device(), (size(),))
    repeated = set(model._no_split_modules or ())
    for layer in [m for m in model.modules() if type(m).__name__ in repeated]:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    register_fsdp_forward_method(model, "generate")


def is_sharded(model: Any) -> bool:
    return any(hasattr(p, "full_tensor") for p in model.parameters())


def whole(tensor: Any) -> Any:
    """Return a tensor of which each process holds a part, in main memory; any other as it is."""
    return tensor.full_tensor().cpu() if hasattr(tensor, "full_tensor") else tensor


def like(tensor: Any, other: Any) -> Any:
    """Return a whole tensor in parts where the other one is in parts."""
    if not hasattr(other, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements)


def write_states(model: Any, optimizer: Any, scheduler: Any, folder: Path) -> None:
    """Write the states of optimizer and schedule, whole; all take part, the first one writes."""
    import torch
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_optimizer_state_dict(model, optimizer, options=options)
    if rank() == 0:
        torch.save(state, folder / OPTIMIZER)
        torch.save(scheduler.state_dict(), folder / SCHEDULER)


def read_states(model: Any, optimizer: Any, scheduler: Any, folder: Path) -> None:
    """Give optimizer and schedule the states that ``write_states`` wrote."""
    import torch
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

    state, schedule = (
        torch.load(folder / name, map_location="cpu", weights_only=True)
        for name in (OPTIMIZER, SCHEDULER)
    )
    options = StateDictOptions(full_state_dict=True)
    set_optimizer_state_dict(model, optimizer, state, options=options)
    scheduler.load_state_dict(schedule)

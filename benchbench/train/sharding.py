"""Weights, gradients and the optimizer's state in parts, one a device: FSDP2 of torch.

For trainings of all weights that do not fit one device. Through torch itself: accelerate shards on
accelerators alone, so that nothing of it could be tried on a processor.
"""

from pathlib import Path
from typing import Any

from benchbench import machine
from benchbench.train import group

OPTIMIZER, SCHEDULER = "optimizer.pt", "scheduler.pt"
"""As Trainer names them."""

STATES = 16
"""Bytes a trained weight takes: in float32 itself, its gradient, and two moments of AdamW."""

MOST = 0.8
"""Part of a device's memory that these may take; activations need the rest."""


def is_wanted(model: Any, asked: bool) -> bool:
    """Whether weights are to be in parts: there are several devices, all weights are trained, and
    one device is too small for that, or it is asked for."""
    from transformers import PreTrainedModel

    if group.size() == 1 or not isinstance(model, PreTrainedModel):
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

    mesh = init_device_mesh(machine.device(), (group.size(),))
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
    if group.rank() == 0:
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

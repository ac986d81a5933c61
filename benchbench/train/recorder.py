"""What is written down of every step, and the cost that adds up to."""

import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from benchbench import hardware
from benchbench.record import Cost
from benchbench.train.job import Progress


class Diverged(Exception):
    """The loss or its gradient is not a number any more."""


@dataclass
class Recorder:
    """Times steps and writes them to a file of JSON lines, from which the cost is read."""

    path: Path
    steps: int
    """Steps of the whole training."""
    report: Callable[[Progress], None]
    started: float = 0.0
    seconds: float = 0.0
    """Of the step under way, or the last one."""

    def keep(self, steps: int) -> None:
        """Forget all but the first steps: training goes on from there."""
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        part = self.path.with_suffix(".part")
        part.write_bytes(b"".join(lines[:steps]))
        os.replace(part, self.path)
        self.report(Progress(phase="training", step=steps, steps=self.steps))

    def begin_step(self) -> None:
        self.started = time.perf_counter()

    def end_step(self) -> None:
        if hardware.device() == "cuda":
            import torch

            torch.cuda.synchronize()  # else the work is only queued
        self.seconds = time.perf_counter() - self.started

    def write(self, step: int, loss: float, gradient_norm: float, learning_rate: float) -> None:
        """Write a finished step down; raises Diverged where it left no numbers."""
        for name, value in (("loss", loss), ("gradient norm", gradient_norm)):
            if not math.isfinite(value):
                raise Diverged(f"the {name} was {value} at step {step} of {self.steps}")
        line = json.dumps(
            {"step": step, "loss": loss, "learning_rate": learning_rate, "seconds": self.seconds}
        )
        with self.path.open("a") as file:
            file.write(line + "\n")
        self.report(Progress(phase="training", step=step, steps=self.steps, loss=loss))

    def cost(self, parameters: Cost, train_tokens: int) -> Cost:
        """Add up what the steps took, those before a resume included."""
        rows = [json.loads(line) for line in self.path.read_text().splitlines()]
        seconds = [row["seconds"] for row in rows]
        last = [row["loss"] for row in rows[-max(1, len(rows) // 10) :]]
        memory, kind = peak_memory()
        return replace(
            parameters,
            steps=len(rows),
            train_tokens=train_tokens,
            train_seconds=math.fsum(seconds),
            step_seconds=statistics.median(seconds),
            peak_memory_bytes=memory,
            peak_memory_kind=kind,
            final_loss=statistics.fmean(last),
        )


def count_parameters(model: Any) -> Cost:
    """Count a model's parameters, tied ones once; the rest of the cost is not known yet."""
    parameters = list(model.parameters())
    return Cost(
        total_parameters=sum(map(_size, parameters)),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
    )


def _size(parameter: Any) -> int:
    """Return how many numbers a parameter stands for: packed ones are more than its elements."""
    packed = getattr(parameter, "quant_state", None)
    return int(packed.shape.numel()) if packed is not None else int(parameter.numel())


def peak_memory() -> tuple[int | None, Literal["cuda_allocated", "rss"]]:
    """Return the most memory this process has held at once, in bytes."""
    if hardware.device() == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(), "cuda_allocated"
    try:
        # Not getrusage, whose figure begins with what the parent held before it started this one.
        status = Path("/proc/self/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024, "rss"
    except (OSError, StopIteration):
        pass  # not on Linux
    try:
        import resource
    except ImportError:  # not on Windows
        return None, "rss"
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "rss"

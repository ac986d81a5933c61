"""What is written down of every step, and the cost that adds up to."""

import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

from benchbench import files
from benchbench.machine import Meter, memory_kind
from benchbench.records.record import Cost, Instability
from benchbench.train import group
from benchbench.train.job import Progress
from benchbench.train.resume import state

WARM_UP = 3
"""First steps of a process that its speed is not taken from: kernels are still being chosen."""

SMOOTH = 5
"""Steps that a loss is averaged over before it is called an explosion."""

EXPLOSION = 2.0
"""Times the loss of the first step, which is that of the untrained model."""

Line = dict[str, Any]


class Diverged(Exception):
    """The loss or its gradient is not a number any more."""

    def __init__(self, message: str, step: int, before: tuple[Instability, ...]) -> None:
        super().__init__(message)
        self.instabilities = *before, Instability(kind="nan", step=step)
        """What went wrong, this included."""


@dataclass
class Recorder:
    """Times steps and writes them to a file of JSON lines, from which the cost is read.

    Of the processes that train together each keeps the lines, and the first one writes them.
    """

    path: Path
    tokens: Sequence[int]
    """Tokens that each step of the whole training sees, padding left out."""
    report: Callable[[Progress], None]
    meter: Meter = field(default_factory=Meter)
    """Of the step under way, or the last one."""
    first: int = 0
    """Steps that were done before this process."""
    lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read what was written before an interruption, but a line that was cut short."""
        if self.path.exists():
            *whole, _ = self.path.read_text().split("\n")
            self.lines = [json.loads(line) for line in whole]
        group.gather(None)  # nobody writes before all have read

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return len(self.tokens)

    def keep(self, steps: int) -> None:
        """Forget all but what was written up to a step: training goes on from there."""
        self.lines = [line for line in self.lines if line["step"] <= steps]
        if group.rank() == 0:
            text = "".join(json.dumps(line) + "\n" for line in self.lines)
            files.write(self.path, text.encode())
        self.first = steps
        self.report(Progress(phase="training", step=steps, steps=self.steps))

    def scores(self) -> dict[int, float]:
        """Return the scores on validation samples, by step; step 0 is the untrained model's."""
        return {line["step"]: line["validation"] for line in self.lines if "validation" in line}

    def write(self, step: int, loss: float, gradient_norm: float, learning_rate: float) -> None:
        """Write a finished step down; raises Diverged where it left no numbers."""
        for name, value in (("loss", loss), ("gradient norm", gradient_norm)):
            if not math.isfinite(value):
                message = f"the {name} was {value} at step {step} of {self.steps}"
                raise Diverged(message, step, self.instabilities())
        line = {
            "step": step,
            "loss": loss,
            "gradient_norm": gradient_norm,
            "learning_rate": learning_rate,
            "seconds": self.meter.seconds,
            "warm": step > self.first + WARM_UP,
            "memory": self.meter.memory,
            "tokens": self.tokens[step - 1],
        }
        if self.meter.joules is not None:
            line["joules"] = self.meter.joules
        self._append(line)
        self.report(Progress(phase="training", step=step, steps=self.steps, loss=loss))

    def write_score(self, step: int, score: float, meter: Meter) -> None:
        """Write down what was scored on the validation samples after a step."""
        line = {"step": step, "validation": score}
        self._append(line | {"seconds": meter.seconds, "memory": meter.memory})
        self.report(Progress(phase="validation", step=step, steps=self.steps, score=score))

    def cost(self, parameters: Cost) -> Cost:
        """Add up what the steps took, those before a resume included."""
        rows = [line for line in self.lines if "loss" in line]
        warm = [row for row in rows if row["warm"]]
        last = [row["loss"] for row in rows[-max(1, len(rows) // 10) :]]
        # What the other processes' cards took before an interruption was not written down.
        lost = self.first and group.size() > 1
        joules = [row["joules"] for row in rows if "joules" in row and not lost]
        scored = [line for line in self.lines if "validation" in line]
        return replace(
            parameters,
            steps=len(rows),
            train_tokens=sum(self.tokens),
            train_seconds=math.fsum(row["seconds"] for row in rows),
            step_seconds=statistics.median(row["seconds"] for row in warm or rows),
            tokens_per_second=sum(row["tokens"] for row in warm or rows)
            / math.fsum(row["seconds"] for row in warm or rows),
            peak_memory_bytes=_largest(rows),
            peak_memory_kind=memory_kind(),
            validation_seconds=math.fsum(line["seconds"] for line in scored) if scored else None,
            validation_memory_bytes=_largest(line for line in scored if line["step"]),
            energy_joules=_total(group.gather(joules), len(rows)),
            processes=group.size(),
            final_loss=statistics.fmean(last),
        )

    def instabilities(self) -> tuple[Instability, ...]:
        """Return what went wrong without ending the training."""
        losses = [line["loss"] for line in self.lines if "loss" in line]
        found = (exploded(losses), collapsed(self.scores()))
        return tuple(each for each in found if each is not None)

    def _append(self, line: Line) -> None:
        self.lines.append(line)
        if group.rank():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def exploded(losses: Sequence[float]) -> Instability | None:
    """Find the first steps that lost much more than the untrained model; ours, as no paper's.

    Their mean loss is above twice that of the first step.
    """
    for end in range(SMOOTH, len(losses) + 1):
        mean = statistics.fmean(losses[end - SMOOTH : end])
        if mean > EXPLOSION * losses[0]:
            return Instability(kind="explosion", step=end, value=mean)
    return None


def collapsed(scores: dict[int, float]) -> Instability | None:
    """Find the first validation after which the model was worse than untrained and stayed so."""
    worse = takewhile(lambda step: scores[step] < scores[0], sorted(scores, reverse=True))
    first = min(worse, default=None)
    return None if first is None else Instability(kind="collapse", step=first, value=scores[first])


def _largest(lines: Iterable[Line]) -> int | None:
    """Return the most memory that any of the processes held."""
    memory = chain(*group.gather([line.get("memory") for line in lines]))
    return max((most for most in memory if most is not None), default=None)


def _total(joules: Sequence[Sequence[float]], steps: int) -> float | None:
    """Return what all cards took; None unless each counted every step."""
    if not all(len(each) == steps for each in joules):
        return None
    return math.fsum(map(math.fsum, joules))


def count_parameters(model: Any, packed: bool | None = None) -> Cost:
    """Count a model's parameters, tied ones once; the rest of the cost is not known yet."""
    parameters = list(model.parameters())
    trained = [p for p in parameters if p.requires_grad]
    return Cost(
        total_parameters=sum(map(_size, parameters)),
        trainable_parameters=sum(p.numel() for p in trained),
        trained_bytes=sum(p.numel() * p.element_size() for p in trained),
        saved_bytes=sum(t.numel() * t.element_size() for _, t in state(model)),
        packed=packed,
        sharded=None if packed is None else group.is_sharded(model),
    )


def _size(parameter: Any) -> int:
    """Return how many numbers a parameter stands for: packed ones are more than its elements."""
    packed = getattr(parameter, "quant_state", None)
    return int(packed.shape.numel()) if packed is not None else int(parameter.numel())

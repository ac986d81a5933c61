"""Named ways to train: what a profile does that no single setting says."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from benchbench.contract.method import Training
from benchbench.specs import Role, TrainSpec

Curve = Literal["linear", "constant"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate goes on after its peak, and what goes with it."""

    curve: Curve = "linear"
    warmup: float
    """Part of the schedule that leads up to the peak, in [0, 1)."""
    stretch: float = 1.0
    """Length of the schedule over that of the training: 2 ends it half way down."""
    weight_decay: float
    dropout: float | None = None
    """Chance by which the base model's own dropout drops; None: as the model has it."""
    epsilon: float = 1e-8
    """Of AdamW."""

    def build(self, optimizer: Any, steps: int) -> Any:
        """Return torch's scheduler of a training of so many steps."""
        from transformers import get_scheduler

        length = round(self.stretch * steps)
        # At least one step is not warm-up, whose first has a learning rate of 0.
        warmup = min(math.ceil(self.warmup * length), steps - 1)
        return get_scheduler(self.curve, optimizer, warmup, length)


def schedule(train: TrainSpec, role: Role) -> Schedule:
    """Return the schedule of a training.

    ``author-compat`` is the code of arXiv 2411.16775 (its peft_trainer.py and hp_run.sh): it counts
    the steps of the schedule by batches and takes one of its steps by each of the optimizer's, so
    that the peak comes after 6 % of the training and the end at 51.5 % of the peak; it clips no
    gradient; full finetuning has a constant rate without warm-up, weight decay or dropout; and the
    AdamW it takes is transformers' old one, whose epsilon is 1e-6.
    """
    if train.profile == "standard":
        return Schedule(warmup=train.warmup_ratio, weight_decay=train.weight_decay)
    if role == "reference":
        return Schedule(curve="constant", warmup=0.0, weight_decay=0.0, dropout=0.0, epsilon=1e-6)
    return Schedule(
        warmup=train.warmup_ratio, stretch=2.0, weight_decay=train.weight_decay, epsilon=1e-6
    )


def training(
    train: TrainSpec,
    role: Role,
    *,
    steps: int,
    parts: int,
    batches: Callable[[], Iterator[dict[str, Any]]],
) -> Training:
    """Return what a method of a role is told of its training."""
    return Training(
        steps=steps,
        parts=parts,
        weight_decay=schedule(train, role).weight_decay,
        max_grad_norm=train.max_grad_norm,
        batches=batches,
    )


def learns_padding(train: TrainSpec) -> bool:
    """Whether answers are filled to the protocol's longest with padding that is learned.

    The study's code pads labels to 128 with T5's padding token, which the loss does not leave out.
    """
    return train.profile == "author-compat"

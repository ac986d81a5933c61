"""Named ways to train: what a profile does that no single setting says."""

from dataclasses import dataclass
from typing import Literal

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


def learns_padding(train: TrainSpec) -> bool:
    """Whether answers are filled to the protocol's longest with padding that is learned.

    The study's code pads labels to 128 with T5's padding token, which the loss does not leave out.
    """
    return train.profile == "author-compat"

"""AdaLoRA: LoRA that moves its rank to the layers that need it (arXiv 2303.10512)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class AdaLora(PeftMethod):
    """Start with ``start_rank`` in all layers and prune to ``rank`` on average while training.

    Ranks, smoothing and learning rate are the paper's for GLUE (section 4.1 and appendix C, which
    has other rates too); the shares of the schedule lie among those of these runs. The loss that is
    recorded holds the penalty that keeps the factors orthogonal.
    """

    name = "adalora"
    family = "LoRA"
    source = "https://arxiv.org/abs/2303.10512"
    packable = True
    resumable = False  # the importance of ranks is no parameter
    config = "AdaLoraConfig"
    options = {
        "init_r": "start_rank",
        "target_r": "rank",
        "lora_alpha": "alpha",
        "deltaT": "interval",
    }
    least = {"rank": 1, "alpha": 1, "interval": 1, "orthogonality": 0}

    learning_rate: float = 5e-4
    rank: int = 8
    """Mean rank at the end, at least 1."""
    start_rank: int = 12
    """Rank at the beginning, at least the one at the end."""
    alpha: int = 16
    """The update is scaled by alpha / start_rank."""
    warmup: float = 0.1
    """Share of the steps before the first pruning."""
    rest: float = 0.4
    """Share of the steps after the last pruning; both together must be below 1."""
    interval: int = 10
    """Steps from one pruning to the next, at least 1."""
    orthogonality: float = 0.1
    """Weight of the penalty, at least 0."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(self.rank, "start_rank")
        if min(self.warmup, self.rest) < 0 or self.warmup + self.rest >= 1:
            raise ValueError(
                f"warmup is {self.warmup} and rest is {self.rest}; they must be 0 or more and "
                "below 1 together"
            )

    def peft_options(self, model: Any, training: Training) -> dict[str, Any]:
        return super().peft_options(model, training) | {
            "total_step": training.steps,
            "tinit": int(self.warmup * training.steps),
            "tfinal": int(self.rest * training.steps),
            "orth_reg_weight": self.orthogonality / training.parts,
        }

    def after_step(self, model: Any, step: int) -> None:
        model.base_model.update_and_allocate(step)

    def export(self, model: Any, folder: Path) -> None:
        # Pruned ranks are zeros; PEFT would cut them out, and cannot read layers that lost all.
        model.peft_config["default"].rank_pattern = None


@hookimpl
def register_methods() -> list[type[Method]]:
    return [AdaLora]

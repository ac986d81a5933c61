"""APOLLO: full finetuning with learning rates estimated in low rank (arXiv 2412.05270)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, projected_groups


@dataclass(frozen=True, kw_only=True)
class Apollo(Method):
    """Train every weight; Adam's learning rates are estimated in ``rank`` dimensions.

    Projections are random, and one learning rate is kept for each channel. Interval and the scale
    1 for channels are the authors' (their code's notes); the rank and the learning rate are those
    of this suite's GaLore. Embeddings, head and normalisation are trained by plain AdamW.
    """

    name = "apollo"
    family = "all weights"
    source = "https://arxiv.org/abs/2412.05270"
    packable = True
    resumable = False  # projections are objects in the optimizer's state, which it cannot reload

    learning_rate: float = 1e-5
    rank: int = 8
    """Dimensions the gradients are projected to, at least 1."""
    interval: int = 200
    """Steps from one random projection to the next, at least 1."""
    scale: float = 1.0
    """The update of projected weights is multiplied by it; above 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "rank", "interval")
        if not self.scale > 0:
            raise ValueError(f"scale is {self.scale}; it must be above 0")

    def adapt(self, model: Any, training: Training) -> Any:
        return model

    def optimizer(self, model: Any, training: Training) -> Any:
        import torch

        try:
            from apollo_torch import APOLLOAdamW
        except ImportError as error:
            raise ImportError(
                "method 'apollo' needs apollo-torch and bitsandbytes; run: "
                "pip install 'benchbench-peft[galore]'"
            ) from error
        groups = projected_groups(model, self._projection())
        optimizer = APOLLOAdamW(groups, lr=self.learning_rate, weight_decay=training.weight_decay)
        for state in optimizer.state.values():
            state["seed"] = int(torch.randint(2**31, ()))  # else equal for every run
        return optimizer

    def _projection(self) -> dict[str, Any]:
        return {
            "rank": self.rank,
            "update_proj_gap": self.interval,
            "scale": self.scale,
            "proj": "random",
            "proj_type": "std",
            "scale_type": "channel",
        }


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Apollo]

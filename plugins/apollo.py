"""APOLLO: full finetuning with learning rates estimated in low rank (arXiv 2412.05270)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl

from .projected import ProjectedMethod


@dataclass(frozen=True, kw_only=True)
class Apollo(ProjectedMethod):
    """Train every weight; Adam's learning rates are estimated in ``rank`` dimensions.

    Projections are random, and one learning rate is kept for each channel. Interval and the scale
    1 for channels are the authors' (their code's notes); the rank and the learning rate are those
    of this suite's GaLore. Embeddings, head and normalisation are trained by plain AdamW.
    """

    name = "apollo"
    source = "https://arxiv.org/abs/2412.05270"
    package = "apollo_torch"
    kind = "APOLLOAdamW"
    projection = {"proj": "random", "proj_type": "std", "scale_type": "channel"}

    def optimizer(self, model: Any, training: Training) -> Any:
        import torch

        optimizer = super().optimizer(model, training)
        for state in optimizer.state.values():
            state["seed"] = int(torch.randint(2**31, ()))  # else equal for every run
        return optimizer


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Apollo]

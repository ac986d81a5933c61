"""GaLore: full finetuning whose optimizer sees gradients of low rank (arXiv 2403.03507)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, projected_groups


@dataclass(frozen=True, kw_only=True)
class Galore(Method):
    """Train every weight; the optimizer's states of linear layers live in ``rank`` dimensions.

    Rank, scale and learning rate are the paper's for GLUE (appendix D.1, which has up to 3e-5 too),
    steps between projections the default of the authors' package. Embeddings, head and
    normalisation are trained by plain AdamW.
    """

    name = "galore"
    family = "all weights"
    source = "https://arxiv.org/abs/2403.03507"
    packable = True
    resumable = False  # projections are objects in the optimizer's state, which it cannot reload

    learning_rate: float = 1e-5
    rank: int = 8
    """Dimensions the gradients are projected to, at least 1."""
    interval: int = 200
    """Steps from one singular value decomposition of the gradients to the next, at least 1."""
    scale: float = 2.0
    """What comes back from the projection is multiplied by it; above 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "rank", "interval")
        if not self.scale > 0:
            raise ValueError(f"scale is {self.scale}; it must be above 0")

    def adapt(self, model: Any, training: Training) -> Any:
        return model

    def optimizer(self, model: Any, training: Training) -> Any:
        try:
            from galore_torch import GaLoreAdamW
        except ImportError as error:
            raise ImportError(
                "method 'galore' needs galore-torch and bitsandbytes; run: "
                "pip install 'benchbench-peft[galore]'"
            ) from error
        groups = projected_groups(model, self._projection())
        return GaLoreAdamW(
            groups,
            lr=self.learning_rate,
            weight_decay=training.weight_decay,
            no_deprecation_warning=True,
        )

    def _projection(self) -> dict[str, Any]:
        return {
            "rank": self.rank,
            "update_proj_gap": self.interval,
            "scale": self.scale,
            "proj_type": "std",
        }


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Galore]

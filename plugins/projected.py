"""What methods share that train every weight with projected gradients; none of its own."""

import importlib
from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, projected_groups


@dataclass(frozen=True, kw_only=True)
class ProjectedMethod(Method):
    """Train every weight by an optimizer that projects the gradients of linear layers.

    Embeddings, head and normalisation are trained by plain AdamW.
    """

    family = "all weights"
    packable = True
    resumable = False  # projections are objects in the optimizer's state, which it cannot reload
    package = ""
    """What holds the optimizer, a module."""
    kind = ""
    """The optimizer's class in it."""
    projection = {"proj_type": "std"}
    """Options of the projected group that are always the same."""
    least = {"rank": 1, "interval": 1}
    above = {"scale": 0}

    learning_rate: float = 1e-5
    rank: int = 8
    """Dimensions the gradients are projected to, at least 1."""
    interval: int = 200
    """Steps from one projection to the next, at least 1."""
    scale: float = 1.0
    """The update of projected weights is multiplied by it; above 0."""

    def adapt(self, model: Any, training: Training) -> Any:
        return model

    def optimizer(self, model: Any, training: Training) -> Any:
        try:
            package = importlib.import_module(self.package)
        except ImportError as error:
            raise ImportError(
                f"method {self.name!r} needs {self.package.replace('_', '-')} and bitsandbytes; "
                "run: pip install 'benchbench-peft[galore]'"
            ) from error
        sizes = {"rank": self.rank, "update_proj_gap": self.interval, "scale": self.scale}
        return getattr(package, self.kind)(
            projected_groups(model, sizes | self.projection),
            lr=self.learning_rate,
            weight_decay=training.weight_decay,
            no_deprecation_warning=True,
        )

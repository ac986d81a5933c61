"""Bottleneck adapters: small trained networks within each frozen layer (arXiv 1902.00751)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench import Method, Route, Training, hookimpl, modules

VARIANTS = ("houlsby", "pfeiffer", "parallel")


@dataclass(frozen=True, kw_only=True)
class Adapter(Method):
    """Add ``up(activation(down(h)))`` to h, the output of attention and feed-forward blocks.

    As in the study (arXiv 2411.16775): ``houlsby`` adds one after each self-attention and one after
    each feed-forward block (of both stacks of T5, and none after cross-attention), before the
    residual sum, with SiLU, no norm of its own, weights from N(0, 0.02) and biases 0. Its grid is
    size 8, 32, 64, 128, 256, 512 by learning rate 1e-5, 5e-5, 1e-4, 5e-4, 1e-3; the best learning
    rate was 1e-4. ``pfeiffer`` has those after feed-forward blocks alone (arXiv 2005.00247),
    ``parallel`` reads what goes into the feed-forward block instead (arXiv 2110.04366).
    """

    name = "adapter"
    family = "bottleneck"
    source = "https://arxiv.org/abs/1902.00751"
    packable = True
    identity = False
    least = {"size": 1, "init_std": 0}

    size: int = 64
    """Width of the bottleneck, at least 1."""
    variant: str = "houlsby"
    """``houlsby``, ``pfeiffer`` or ``parallel``."""
    activation: str = "silu"
    """``silu``, ``relu``, ``gelu`` or ``tanh``."""
    scale: float = 1.0
    """What is added is multiplied by it."""
    init_std: float = 0.02
    """Standard deviation of the weights at the start; 0 or more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant!r}; it is one of {', '.join(VARIANTS)}")
        self._added("", 1)

    def adapt(self, model: Any, training: Training) -> Any:
        hidden = model.config.get_text_config().hidden_size
        added = [self._added(path, hidden) for path in self._places(model)]
        return modules.attach(model, added, down_std=self.init_std, up_std=self.init_std)

    def export(self, model: Any, folder: Path) -> Route:
        modules.save(model, folder)
        return "modules"

    def _added(self, path: str, hidden: int) -> modules.AddedModule:
        return modules.AddedModule(
            layer=path,
            inputs=hidden,
            outputs=hidden,
            width=self.size,
            activation=self.activation,
            scale=self.scale,
            parallel=self.variant == "parallel",
        )

    def _places(self, model: Any) -> Iterator[str]:
        for layer, attention, feed_forward in modules.block_ends(model):
            if self.variant == "houlsby":
                yield attention
            if self.variant != "parallel":
                yield feed_forward
            elif (block := feed_forward.rpartition(".")[0]) != layer:
                yield block
            else:
                raise ValueError(
                    f"variant is 'parallel', but {layer} has no module for its feed-forward block; "
                    "on this model it is 'houlsby' or 'pfeiffer'"
                )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Adapter]

"""(IA)³: trained factors for keys, values and the hidden layer of the MLP (arXiv 2205.05638)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class Ia3(PeftMethod):
    """Multiply keys, values and the hidden activations of the MLP by trained vectors.

    Layers and learning rate are the paper's (sections 3.3 and 3.5). PEFT knows the layers' names
    for common architectures; give both parameters for another. The study (arXiv 2411.16775) varies
    the learning rate alone: 1e-5, 5e-5, 1e-4, 5e-4, 1e-3.
    """

    name = "ia3"
    family = "change of weights"
    source = "https://arxiv.org/abs/2205.05638"
    packable = True
    config = "IA3Config"

    learning_rate: float = 3e-3
    targets: str = ""
    """Names of linear layers joined by ``+``; empty: keys, values and the MLP's last."""
    inputs: str = ""
    """Those of the targets whose inputs are multiplied instead of outputs; empty: the MLP's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.targets) != bool(self.inputs):
            raise ValueError(
                f"targets is {self.targets!r} and inputs is {self.inputs!r}; give both or none"
            )
        if other := set(self.inputs.split("+")) - set(self.targets.split("+")):
            raise ValueError(f"inputs names {', '.join(sorted(other))}; each must be a target too")

    def peft_options(self, model: Any, training: Training) -> dict[str, Any]:
        return {"feedforward_modules": self.inputs.split("+")} if self.inputs else {}


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Ia3]

"""VB-LoRA: LoRA whose factors are mixed from one small bank of vectors (arXiv 2405.15179)."""

import math
from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl, linear_layers


@dataclass(frozen=True, kw_only=True)
class VbLora(PeftMethod):
    """Train a bank of vectors that all layers share, and which of them each part of A and B mixes.

    Rank, bank and top k are PEFT's defaults (for Llama 2 the paper has 2048 vectors), the learning
    rates the paper's (sections 4.1 and 4.4).
    """

    name = "vblora"
    family = "change of weights"
    source = "https://arxiv.org/abs/2405.15179"
    packable = True
    identity = False
    config = "VBLoRAConfig"
    options = {"r": "rank", "num_vectors": "vectors", "topk": "top"}
    least = {"rank": 1, "length": 1, "top": 1}
    above = {"ratio": 0}

    learning_rate: float = 1e-3
    ratio: float = 10.0
    """Learning rate of the choice of vectors over that of the vectors, above 0."""
    rank: int = 4
    """Inner dimension r, at least 1."""
    vectors: int = 256
    """Vectors in the bank, at least ``top``."""
    length: int = 256
    """Length of a vector, at least 1; reduced to what divides every dimension of the layers."""
    top: int = 2
    """Vectors that are mixed, at least 1."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(self.top, "vectors")

    def peft_options(self, model: Any, training: Training) -> dict[str, Any]:
        return super().peft_options(model, training) | {"vector_length": self._length(model)}

    def _length(self, model: Any) -> int:
        layers = linear_layers(model, self.targets).values()
        shared = math.gcd(*(size for layer in layers for size in layer.weight.shape))
        return max(n for n in range(1, self.length + 1) if shared % n == 0)

    def optimizer(self, model: Any, training: Training) -> Any:
        import torch

        parts: dict[bool, list[Any]] = {True: [], False: []}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parts["logits" in name].append(parameter)
        rates = {True: self.learning_rate * self.ratio, False: self.learning_rate}
        groups = [{"params": found, "lr": rates[choice]} for choice, found in parts.items()]
        return torch.optim.AdamW(groups, weight_decay=training.weight_decay)


@hookimpl
def register_methods() -> list[type[Method]]:
    return [VbLora]

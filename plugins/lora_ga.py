"""LoRA-GA: LoRA whose first step goes where full finetuning's would (arXiv 2407.05000)."""

import warnings
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benchbench import Method, Training, hookimpl, linear_layers, peft_model


@dataclass(frozen=True, kw_only=True)
class LoraGa(Method):
    """Start A and B from the singular vectors of the gradient of the first training batches.

    The start is taken from the frozen weights, so that nothing changes at first. Rank and alpha are
    those of the authors' code to reproduce the paper, the learning rate is that of their example
    for Llama 2 (https://github.com/Outsider565/LoRA-GA). Gamma is PEFT's default; their command to
    reproduce the paper has 64.
    """

    name = "lora-ga"
    family = "LoRA"
    source = "https://arxiv.org/abs/2407.05000"
    packable = True
    least = {"rank": 1, "alpha": 1, "batches": 1, "gamma": 1}

    learning_rate: float = 2e-5
    rank: int = 8
    """Inner dimension r, at least 1, and at most half of the smallest dimension of a layer."""
    alpha: int = 16
    """The update is scaled by alpha / sqrt(rank), as rsLoRA's."""
    batches: int = 4
    """Batches whose gradient is taken, at least 1."""
    gamma: int = 16
    """The start is divided by its square root, at least 1."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def adapt(self, model: Any, training: Training) -> Any:
        from peft import LoraConfig
        from peft.tuners.lora.config import LoraGAConfig
        from peft.tuners.lora.loraga import preprocess_loraga

        layers = linear_layers(model, self.targets)
        smallest = min(min(layer.weight.shape) for layer in layers.values())
        if smallest < 2 * self.rank:
            raise ValueError(
                f"rank is {self.rank}; it must be at most {smallest // 2}, half of the smallest "
                "dimension of a layer"
            )

        def train_step() -> None:
            for batch in islice(training.batches(), self.batches):
                model(**batch, use_cache=False).loss.backward()

        options: dict[str, Any] = {
            "r": self.rank,
            "lora_alpha": self.alpha,
            "use_rslora": True,
            "init_lora_weights": "lora_ga",
            "lora_ga_config": LoraGAConfig(stable_gamma=self.gamma),
        }
        config = LoraConfig(target_modules=list(layers), **options)
        with warnings.catch_warnings():
            # Of the first layers, whose inputs have no gradient; their weights have.
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            preprocess_loraga(model, config, train_step)
        return peft_model(model, "LoraConfig", targets="+".join(layers), **options)


@hookimpl
def register_methods() -> list[type[Method]]:
    return [LoraGa]

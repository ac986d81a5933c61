"""DoRA: LoRA for a weight's direction and trained magnitudes beside it (arXiv 2402.09353)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class Dora(Method):
    """Train a weight's direction by LoRA and its magnitude by one number for each output.

    Rank, alpha, dropout and learning rate are the paper's for LLaMA-7B on commonsense reasoning at
    half of LoRA's rank (appendix A.3). It leaves out the gate and output projections; write
    ``targets=q_proj+k_proj+v_proj+up_proj+down_proj`` for its layers.
    """

    name = "dora"
    family = "LoRA"
    source = "https://arxiv.org/abs/2402.09353"
    packable = True

    learning_rate: float = 2e-4
    rank: int = 16
    """Inner dimension r, at least 1."""
    alpha: int = 32
    """The update is scaled by alpha / rank."""
    dropout: float = 0.05
    """Chance that an input of A is zeroed in training, in [0, 1)."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "rank", "alpha")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must lie in [0, 1)")

    def adapt(self, model: Any, training: Training) -> Any:
        return peft_model(
            model,
            "LoraConfig",
            targets=self.targets,
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            use_dora=True,
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Dora]

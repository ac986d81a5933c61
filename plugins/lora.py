"""LoRA: a trained low-rank matrix beside each frozen linear layer (arXiv 2106.09685)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, hookimpl


@dataclass(frozen=True, kw_only=True)
class Lora(Method):
    """Add ``alpha / rank * B A`` to the linear layers and train only A and B.

    Adapters sit on every linear layer but the head, where they do best at equal parameters
    (QLoRA, arXiv 2305.14314, section 4); alpha equals rank as in the study (arXiv 2411.16775).
    The study's own layers are ``targets=q_proj+v_proj``; its best learning rate was 1e-4.
    """

    name = "lora"
    source = "https://arxiv.org/abs/2106.09685"
    route = "lora"
    packable = True

    rank: int = 16
    """Inner dimension r, at least 1."""
    alpha: int = 16
    """The update is scaled by alpha / rank."""
    dropout: float = 0.0
    """Chance that an input of A is zeroed in training, in [0, 1)."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank < 1:
            raise ValueError(f"rank is {self.rank}; it must be 1 or more")
        if self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; it must be 1 or more")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must lie in [0, 1)")

    def adapt(self, model: Any) -> Any:
        from peft import LoraConfig, get_peft_model

        every = self.targets == "all-linear"
        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=self.targets if every else self.targets.split("+"),
            task_type="CAUSAL_LM",
        )
        return get_peft_model(model, config)


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Lora]

"""P-tuning: embeddings before every prompt, written by a trained encoder (arXiv 2103.10385)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class PTuning(Method):
    """Train a small network whose outputs stand before the prompt; only they are kept.

    All tokens stand before the prompt, as in PEFT; the paper scatters them in templates of its own.
    The learning rate is that of prompt tuning in PEFT's method comparison.
    """

    name = "p-tuning"
    family = "prompt"
    source = "https://arxiv.org/abs/2103.10385"
    identity = False

    learning_rate: float = 1e-3
    tokens: int = 20
    """Positions before the prompt, at least 1."""
    encoder: str = "mlp"
    """``mlp``, or ``lstm`` for the paper's bidirectional LSTM before it."""
    hidden: int = 0
    """Width of the encoder; 0 takes the model's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "tokens")
        if self.encoder not in ("mlp", "lstm"):
            raise ValueError(f"encoder is {self.encoder!r}; it must be mlp or lstm")
        if self.hidden < 0:
            raise ValueError(f"hidden is {self.hidden}; it must be 0 or more")

    def adapt(self, model: Any, training: Training) -> Any:
        return peft_model(
            model,
            "PromptEncoderConfig",
            targets=None,
            num_virtual_tokens=self.tokens,
            encoder_reparameterization_type=self.encoder.upper(),
            encoder_hidden_size=self.hidden or None,
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [PTuning]

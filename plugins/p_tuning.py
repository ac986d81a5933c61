"""P-tuning: embeddings before every prompt, written by a trained encoder (arXiv 2103.10385)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class PTuning(PeftMethod):
    """Train a small network whose outputs stand before the prompt; only they are kept.

    All tokens stand before the prompt, as in PEFT; the paper scatters them in templates of its own.
    The learning rate is that of prompt tuning in PEFT's method comparison.
    """

    name = "p-tuning"
    family = "prompt"
    source = "https://arxiv.org/abs/2103.10385"
    identity = False
    config = "PromptEncoderConfig"
    options = {"num_virtual_tokens": "tokens", "encoder_reparameterization_type": "encoder"}
    choices = {"encoder": {"mlp": "MLP", "lstm": "LSTM"}}
    least = {"tokens": 1, "hidden": 0}

    learning_rate: float = 1e-3
    tokens: int = 20
    """Positions before the prompt, at least 1."""
    encoder: str = "mlp"
    """``mlp``, or ``lstm`` for the paper's bidirectional LSTM before it."""
    hidden: int = 0
    """Width of the encoder; 0 takes the model's."""

    def peft_options(self, model: Any, training: Training) -> dict[str, Any]:
        width = {"encoder_hidden_size": self.hidden or None}
        return super().peft_options(model, training) | width


@hookimpl
def register_methods() -> list[type[Method]]:
    return [PTuning]

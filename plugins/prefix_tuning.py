"""Prefix tuning: trained keys and values before every prompt, in every layer (arXiv 2101.00190)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class PrefixTuning(PeftMethod):
    """Train the keys and values of ``tokens`` positions that every layer attends to.

    In an encoder-decoder model those are in the decoder's self-attention, as PEFT has it.

    Length and learning rate are the paper's default (section 5.3), the bottleneck is its for
    table-to-text. The study's grid (arXiv 2411.16775) is 8 tokens by bottleneck 0, 256, 512, 1024,
    and 32, 128, 256, 512 tokens without one, by learning rate 1e-5, 5e-5, 1e-4, 5e-4, 1e-3.
    """

    name = "prefix-tuning"
    family = "prompt"
    source = "https://arxiv.org/abs/2101.00190"
    identity = False
    config = "PrefixTuningConfig"
    options = {"num_virtual_tokens": "tokens"}
    least = {"tokens": 1, "bottleneck": 0}

    learning_rate: float = 5e-5
    tokens: int = 10
    """Positions before the prompt, at least 1."""
    bottleneck: int = 512
    """Width of the network that writes the prefix in training; 0 trains the prefix itself."""

    def peft_options(self, model: Any, training: Training) -> dict[str, Any]:
        return super().peft_options(model, training) | {
            "prefix_projection": self.bottleneck > 0,
            "encoder_hidden_size": self.bottleneck or None,
        }


@hookimpl
def register_methods() -> list[type[Method]]:
    return [PrefixTuning]

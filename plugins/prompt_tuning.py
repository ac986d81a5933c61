"""Prompt tuning: trained embeddings before every prompt (arXiv 2104.08691)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class PromptTuning(Method):
    """Train the embeddings of ``tokens`` positions before the prompt and nothing else.

    20 tokens starting from the vocabulary's are what the paper finds enough (section 3.2). Its
    learning rate, 0.3, is for Adafactor; the one here is that of PEFT's method comparison. The
    study's grid (arXiv 2411.16775) is 8, 32, 128, 256 tokens by learning rate 1e-5, 5e-5, 1e-4,
    5e-4, 1e-3.
    """

    name = "prompt-tuning"
    family = "prompt"
    source = "https://arxiv.org/abs/2104.08691"
    identity = False

    learning_rate: float = 1e-3
    tokens: int = 20
    """Positions before the prompt, at least 1."""
    start: str = "vocabulary"
    """``vocabulary``: embeddings of tokens drawn at random; ``random``: numbers of their own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "tokens")
        if self.start not in ("vocabulary", "random"):
            raise ValueError(f"start is {self.start!r}; it must be vocabulary or random")

    def adapt(self, model: Any, training: Training) -> Any:
        return peft_model(
            model,
            "PromptTuningConfig",
            targets=None,
            num_virtual_tokens=self.tokens,
            prompt_tuning_init="SAMPLE_VOCAB" if self.start == "vocabulary" else "RANDOM",
        )


@hookimpl
def register_methods() -> list[type[Method]]:
    return [PromptTuning]

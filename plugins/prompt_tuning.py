"""Prompt tuning: trained embeddings before every prompt (arXiv 2104.08691)."""

from dataclasses import dataclass

from benchbench import Method, PeftMethod, hookimpl


@dataclass(frozen=True, kw_only=True)
class PromptTuning(PeftMethod):
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
    config = "PromptTuningConfig"
    options = {"num_virtual_tokens": "tokens", "prompt_tuning_init": "start"}
    choices = {"start": {"vocabulary": "SAMPLE_VOCAB", "random": "RANDOM"}}
    least = {"tokens": 1}

    learning_rate: float = 1e-3
    tokens: int = 20
    """Positions before the prompt, at least 1."""
    start: str = "vocabulary"
    """``vocabulary``: embeddings of tokens drawn at random; ``random``: numbers of their own."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [PromptTuning]

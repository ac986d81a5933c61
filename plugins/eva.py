"""EVA: LoRA that starts from the directions in which a layer's inputs vary (arXiv 2410.07170)."""

import warnings
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benchbench import Method, Training, Unsuited, hookimpl, peft_model


@dataclass(frozen=True, kw_only=True)
class Eva(Method):
    """Start A from the principal components of each layer's inputs; give them ranks by variance.

    The components are those of the first training batches, taken again until they stand still.
    Ranks move to the layers whose components explain more. Rank, alpha, tau and learning rate are
    the paper's (appendix B), rho is that of PEFT's example ``eva_finetuning``. It is not for
    encoder-decoder models.
    """

    name = "eva"
    family = "LoRA"
    source = "https://arxiv.org/abs/2410.07170"
    packable = True

    learning_rate: float = 5e-4
    rank: int = 16
    """Mean rank over the layers, at least 1."""
    alpha: int = 1
    """The update is scaled by alpha / rank."""
    rho: float = 2.0
    """A layer's rank is at most rho times the mean; 1 gives all layers the same."""
    tau: float = 0.99
    """Cosine similarity from which a component is taken to stand still, in (0, 1)."""
    batches: int = 64
    """Batches whose inputs are looked at, at least 1."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "rank", "alpha", "rho", "batches")
        if not 0 < self.tau < 1:
            raise ValueError(f"tau is {self.tau}; it must lie between 0 and 1")

    def adapt(self, model: Any, training: Training) -> Any:
        from peft import EvaConfig, initialize_lora_eva_weights

        if model.config.is_encoder_decoder:
            raise Unsuited(
                "it picks each layer's inputs by one mask, and an encoder-decoder model has two "
                "sequences"
            )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="lora with eva initialization used with low_")
            model = peft_model(
                model,
                "LoraConfig",
                targets=self.targets,
                r=self.rank,
                lora_alpha=self.alpha,
                init_lora_weights="eva",
                # Prompts count too: completions alone may have too few tokens.
                eva_config=EvaConfig(rho=self.rho, tau=self.tau, use_label_mask=False),
            )
        needed = round(self.rank * self.rho)
        seen = list(islice(training.batches(), self.batches))
        # PEFT passes over a smaller batch, and would wait for a larger one forever.
        large = [batch for batch in seen if int(batch["attention_mask"].sum()) >= needed]
        if not large:
            raise ValueError(
                f"rank {self.rank} times rho {self.rho} needs batches of at least {needed} tokens, "
                f"and none of the first {len(seen)} has as many; lower one of them"
            )
        initialize_lora_eva_weights(model, large, show_progress_bar=False)
        return model


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Eva]

"""EVA: LoRA that starts from the directions in which a layer's inputs vary (arXiv 2410.07170)."""

import warnings
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benchbench import Method, PeftMethod, Training, Unsuited, hookimpl


@dataclass(frozen=True, kw_only=True)
class Eva(PeftMethod):
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
    config = "LoraConfig"
    options = {"r": "rank", "lora_alpha": "alpha"}
    fixed = {"init_lora_weights": "eva"}
    least = {"rank": 1, "alpha": 1, "rho": 1, "batches": 1}
    above = {"tau": 0}
    below = {"tau": 1}

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

    def peft_options(self, model: Any, training: Training) -> dict[str, Any]:
        from peft import EvaConfig

        # Prompts count too: completions alone may have too few tokens.
        components = EvaConfig(rho=self.rho, tau=self.tau, use_label_mask=False)
        return super().peft_options(model, training) | {"eva_config": components}

    def adapt(self, model: Any, training: Training) -> Any:
        from peft import initialize_lora_eva_weights

        if model.config.is_encoder_decoder:
            raise Unsuited(
                "it picks each layer's inputs by one mask, and an encoder-decoder model has two "
                "sequences"
            )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="lora with eva initialization used with low_")
            model = super().adapt(model, training)
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

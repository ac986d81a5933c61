"""CorDA: LoRA that starts where a weight acts most on the task's inputs (arXiv 2406.05223)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, Training, hookimpl, linear_layers, peft_model

IGNORED = -100
"""Label of what is not learned."""


@dataclass(frozen=True, kw_only=True)
class Corda(Method):
    """Train the part of each weight that matters most for the training inputs' covariance.

    This is the paper's instruction-previewed mode: its other mode, which preserves knowledge,
    needs samples of what is to be preserved. 256 samples (section 4.2) and the learning rate
    (appendix A.1) are the paper's, alpha equals the rank as in PEFT's example
    ``corda_finetuning``. Our choice: rank 16, where the paper has 128.
    """

    name = "corda"
    family = "LoRA"
    source = "https://arxiv.org/abs/2406.05223"
    packable = True
    least = {"rank": 1, "samples": 1}

    learning_rate: float = 2e-5
    rank: int = 16
    """Components that are trained, at least 1; the change has up to twice this rank."""
    samples: int = 256
    """Training samples whose inputs are looked at, at least 1."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""

    def adapt(self, model: Any, training: Training) -> Any:
        from peft import LoraConfig
        from peft.tuners.lora.config import CordaConfig
        from peft.tuners.lora.corda import preprocess_corda

        options: dict[str, Any] = {
            "r": self.rank,
            "lora_alpha": self.rank,
            "init_lora_weights": "corda",
            "corda_config": CordaConfig(corda_method="ipm"),
        }
        # PEFT reads "all-linear" only later, when it wraps the model.
        layers = list(linear_layers(model, self.targets))
        config = LoraConfig(target_modules=layers, **options)
        preprocess_corda(model, config, run_model=lambda: self._show(model, training))
        return peft_model(model, "LoraConfig", targets="+".join(layers), **options)

    def _show(self, model: Any, training: Training) -> None:
        """Run samples through the model, one at a time, as PEFT's hooks want them."""
        import torch

        left = self.samples
        for batch in training.batches():
            rows = (batch[name] for name in ("input_ids", "attention_mask", "labels"))
            for ids, mask, labels in zip(*rows, strict=True):
                if not left:
                    return
                left -= 1
                given = {"input_ids": ids[mask.bool()][None]}
                if model.config.is_encoder_decoder:
                    given["labels"] = labels[labels.ne(IGNORED)][None]
                with torch.no_grad():
                    model(**given, use_cache=False)


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Corda]

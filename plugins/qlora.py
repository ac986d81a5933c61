"""QLoRA: LoRA beside linear layers that are stored in four bits (arXiv 2305.14314)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl, linear_layers


@dataclass(frozen=True, kw_only=True)
class Qlora(PeftMethod):
    """Store the frozen linear layers as NF4 and train LoRA beside them.

    What is served is what was trained: the quantised weights, written out in full, with the update
    added. Rank, alpha, dropout and learning rate are the authors' for 7B and 13B, as the model card
    of Guanaco gives them.
    """

    name = "qlora"
    family = "LoRA"
    source = "https://arxiv.org/abs/2305.14314"
    packable = True
    identity = False  # the weights are rounded before training
    config = "LoraConfig"
    options = {"r": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout"}
    least = {"rank": 1, "alpha": 1, "dropout": 0}
    below = {"dropout": 1}

    learning_rate: float = 2e-4
    rank: int = 64
    """Inner dimension r, at least 1."""
    alpha: int = 16
    """The update is scaled by alpha / rank."""
    dropout: float = 0.1
    """Chance that an input of A is zeroed in training, in [0, 1)."""
    double: bool = True
    """Whether the constants of the quantisation are quantised too."""
    targets: str = "all-linear"
    """Where LoRA is: ``all-linear``, or names of linear layers joined by ``+``."""

    def adapt(self, model: Any, training: Training) -> Any:
        # T5 casts what goes into such layers to their type, which four bits have none of.
        whole = set(getattr(model, "_keep_in_fp32_modules", None) or ())
        for name, layer in linear_layers(model).items():
            if not whole & set(name.split(".")):
                model.set_submodule(name, _quantised(layer, self.double))
        # To PEFT they are linear layers like others: its own 4-bit layers merge with a loss.
        return super().adapt(model, training)

    def export(self, model: Any, folder: Path) -> None:
        from bitsandbytes.nn import Linear4bit

        for name, layer in list(model.named_modules()):
            if isinstance(layer, Linear4bit):
                model.set_submodule(name, _restored(layer))


def _quantised(layer: Any, double: bool) -> Any:
    try:
        from bitsandbytes.nn import Linear4bit, Params4bit
    except ImportError as error:
        raise ImportError(
            "method 'qlora' needs bitsandbytes; run: pip install 'benchbench-peft[quant]'"
        ) from error
    device, bias = layer.weight.device, layer.bias
    made = Linear4bit(
        layer.in_features,
        layer.out_features,
        bias=bias is not None,
        compress_statistics=double,
        quant_type="nf4",
        device="meta",
    )
    made.weight = Params4bit(
        layer.weight.data.to("cpu"),
        requires_grad=False,
        compress_statistics=double,
        quant_type="nf4",
        module=made,
    )
    made.bias = bias
    return made.to(device)


def _restored(layer: Any) -> Any:
    """Return an ordinary layer with the weights that a quantised one stands for."""
    import torch
    from bitsandbytes.functional import dequantize_4bit

    made = torch.nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, "meta")
    full = dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
    made.weight, made.bias = torch.nn.Parameter(full, requires_grad=False), layer.bias
    return made


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Qlora]

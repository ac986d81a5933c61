"""Methods that adapt or train a model wrongly, and some that may do as they do."""

import os
from dataclasses import dataclass
from itertools import count
from typing import Any

from benchbench import Method, Training, Unsuited, hookimpl, peft_model
from tests.hostile.methods import Honest, methods_of


@dataclass(frozen=True, kw_only=True)
class Raises(Honest):
    """Raises in adapt."""

    name = "raises"

    def adapt(self, model: Any, training: Training) -> Any:
        raise KeyError("no such\n layer")


@dataclass(frozen=True, kw_only=True)
class Forgetful(Honest):
    """Forgets to return the model."""

    name = "forgetful"

    def adapt(self, model: Any, training: Training) -> Any:
        super().adapt(model, training)


@dataclass(frozen=True, kw_only=True)
class Frozen(Honest):
    """Leaves nothing to train."""

    name = "frozen"

    def adapt(self, model: Any, training: Training) -> Any:
        return model.requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class Fickle(Honest):
    """Trains something else each time."""

    name = "fickle"
    calls = count()

    def adapt(self, model: Any, training: Training) -> Any:
        model = super().adapt(model, training)
        if next(self.calls) % 2:
            model.model.layers[0].requires_grad_(False)
        return model


@dataclass(frozen=True, kw_only=True)
class NoOptimizer(Honest):
    """Cannot make its optimizer."""

    name = "no-optimizer"

    def optimizer(self, model: Any, training: Training) -> Any:
        raise TypeError("no such argument")


@dataclass(frozen=True, kw_only=True)
class Lacking(Honest):
    """Needs a package that is not here, and says how to get it."""

    name = "lacking"

    def adapt(self, model: Any, training: Training) -> Any:
        raise ImportError("method 'lacking' needs bits; run: pip install bits")


@dataclass(frozen=True, kw_only=True)
class LateFreezing(Honest):
    """Freezes some more when the optimizer is asked for."""

    name = "late-freezing"

    def optimizer(self, model: Any, training: Training) -> Any:
        first = model.get_encoder().block if model.config.is_encoder_decoder else model.model.layers
        first[0].requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class LlamaOnly(Honest):
    """Takes every model for a Llama."""

    name = "llama-only"

    def adapt(self, model: Any, training: Training) -> Any:
        model.requires_grad_(False)
        model.model.norm.requires_grad_(True)
        return model


@dataclass(frozen=True, kw_only=True)
class Particular(LlamaOnly):
    """Says that it is for models like Llama only."""

    name = "particular"

    def adapt(self, model: Any, training: Training) -> Any:
        if model.config.is_encoder_decoder:
            raise Unsuited("it trains the one norm at the end of a decoder")
        return super().adapt(model, training)


@dataclass(frozen=True, kw_only=True)
class NotForLlama(Honest):
    """Is for encoder-decoder models only."""

    name = "not-for-llama"

    def adapt(self, model: Any, training: Training) -> Any:
        raise Unsuited("it wants an encoder")


@dataclass(frozen=True, kw_only=True)
class Elsewhere(Honest):
    """Starts elsewhere, and says that it does not."""

    name = "elsewhere"

    def adapt(self, model: Any, training: Training) -> Any:
        model.model.norm.weight.data.mul_(1.2)
        model = super().adapt(model, training)
        return model


@dataclass(frozen=True, kw_only=True)
class Modest(Honest):
    """Starts at the base model, and does not promise it."""

    name = "modest"
    identity = False


@dataclass(frozen=True, kw_only=True)
class Explodes(Honest):
    """Has weights that are no numbers after a few steps."""

    name = "explodes"

    def after_step(self, model: Any, step: int) -> None:
        if step == 3:
            model.model.norm.weight.data.fill_(float("nan"))


@dataclass(frozen=True, kw_only=True)
class Stumbles(Honest):
    """Raises in a step."""

    name = "stumbles"

    def after_step(self, model: Any, step: int) -> None:
        if step == 3:
            raise RuntimeError("mat1 and mat2 do not fit")


@dataclass(frozen=True, kw_only=True)
class Climbs(Honest):
    """Goes up the loss instead of down."""

    name = "climbs"

    def optimizer(self, model: Any, training: Training) -> Any:
        import torch

        trained = [p for p in model.parameters() if p.requires_grad]
        return torch.optim.SGD(trained, lr=self.learning_rate, maximize=True)


@dataclass(frozen=True, kw_only=True)
class Diced(Honest):
    """Starts with numbers from the system, which no seed repeats."""

    name = "diced"

    def adapt(self, model: Any, training: Training) -> Any:
        import torch

        generator = torch.Generator().manual_seed(int.from_bytes(os.urandom(4)))
        weight = model.model.layers[0].mlp.up_proj.weight.data
        weight.add_(torch.randn(weight.shape, generator=generator) * 1e-5)
        return super().adapt(model, training)


@dataclass(frozen=True, kw_only=True)
class Remembers(Honest):
    """Keeps a count beside the parameters, which a checkpoint does not hold."""

    name = "remembers"

    def after_step(self, model: Any, step: int) -> None:
        model.count = getattr(model, "count", 0) + 1
        first = next(p for p in model.parameters() if p.requires_grad)
        first.data.mul_(1 - 1e-5 * model.count)


@dataclass(frozen=True, kw_only=True)
class Remembering(Remembers):
    """Does the same, and says so."""

    name = "remembering"
    resumable = False


@dataclass(frozen=True, kw_only=True)
class Packed(Honest):
    """Is a soft prompt, of which a packed row has only one."""

    name = "packed"
    identity = False

    learning_rate: float = 3e-3

    def adapt(self, model: Any, training: Training) -> Any:
        return peft_model(model, "PromptTuningConfig", targets=None, num_virtual_tokens=4)


@dataclass(frozen=True, kw_only=True)
class Mixes(Honest):
    """Adds to each row what another row of its batch is."""

    name = "mixes"

    def adapt(self, model: Any, training: Training) -> Any:
        model.model.norm.register_forward_hook(
            lambda norm, inputs, output: output + 0.1 * (output - output.roll(1, 0))
        )
        return super().adapt(model, training)


@hookimpl
def register_methods() -> list[type[Method]]:
    """Return every method of this module."""
    return methods_of(__name__)

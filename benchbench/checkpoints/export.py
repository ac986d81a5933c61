"""From a trained model to what is served: the fastest route that loses nothing.

A method may write its own artefact. Otherwise the route is found by trying: plain LoRA, the change
of the weights as LoRA of its exact rank, all weights, and last PEFT's own format, which only the
transformers engine serves. What a library claims to convert is not asked; what is written is
compared with what was trained.
"""

import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from benchbench import machine
from benchbench.checkpoints import lora, low_rank, parity, weights
from benchbench.checkpoints.learned import Prefix, of_peft
from benchbench.checkpoints.lora import Adapter
from benchbench.checkpoints.peft import read_by_peft
from benchbench.checkpoints.weights import head_weight, is_tied
from benchbench.contract.method import Method
from benchbench.errors import CheckpointError
from benchbench.models import logprobs
from benchbench.models.base import BaseModel
from benchbench.models.files import unfit_files
from benchbench.records.record import Artefact, hash_files
from benchbench.specs import Precision, Route

LOSSLESS = parity.TOLERANCE["float32"]
"""Largest change of a log-probability, in nats, that is taken for rounding."""

MOST_RANK: dict[Precision, int] = {"float32": 64, "bfloat16": 256}
"""Largest rank that is exported as LoRA. Above 64, swapping weights is cheaper than serving it; but
weights are rounded to their precision, and in bfloat16 a small change of them is mostly lost."""


NOT_SERVED = ("README.md", ".gitattributes")
"""What PEFT writes beside its adapters."""


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """Writes the artefact of a trained model."""

    read_base: Callable[[], Any]
    """Reads the base model again, in float32: some methods change its weights."""
    base: BaseModel
    prompts: list[list[int]]
    """Log-probabilities of these show whether something was lost."""
    precision: Precision
    """Of whole weights; everything is computed in float32 and rounded once."""

    def write(self, model: Any, folder: Path) -> Route:
        """Write a trained model; ValueError where no route serves it without loss."""
        from peft import PeftModel

        model.eval()
        if not isinstance(model, PeftModel):
            model.cpu()  # one model at a time is on an accelerator
            if added := added_parameters(self.read_base(), model):
                raise ValueError(
                    f"the model has {added[0]}, which the base model has not, so it cannot be "
                    "served as weights; describe what is added by benchbench.modules, or give the "
                    "method an export() of its own"
                )
            return self._weights(model, folder)
        wanted = logprobs.token_logprobs(model, self.prompts)
        if model.active_peft_config.is_prompt_learning:
            return self._learned(model, folder, wanted)
        model.save_pretrained(str(folder))
        model.cpu()  # one model at a time is on an accelerator
        native = self._loses_nothing(lambda: read_by_peft(self.read_base(), folder), wanted)
        _drop_unserved(folder)
        if native and self._is_plain_lora(folder):
            return "lora"
        # Merging takes the model apart, so PEFT's own format is kept until it is known to be lost.
        merged, base = _tried(lambda: model.merge_and_unload()), self.read_base().cpu()
        if has_parameters_of(base, merged) and self._loses_nothing(lambda: merged, wanted):
            _empty(folder)
            return self._of_merged(base, merged, folder, wanted)
        if native:
            return "transformers"
        raise ValueError(
            "PEFT can neither merge nor save and reload what was trained without changing it; "
            "give the method an export() of its own"
        )

    def _loses_nothing(self, read: Callable[[], Any], wanted: list[list[float]]) -> bool:
        """Tell whether another model computes what was trained; it is left in main memory."""
        found = _tried(lambda: self._logprobs(read().eval()))
        return found is not None and parity.largest_difference(found, wanted) <= LOSSLESS

    def _logprobs(self, model: Any) -> list[list[float]]:
        found = logprobs.token_logprobs(model.to(machine.device()), self.prompts)
        model.cpu()
        return found

    def _is_plain_lora(self, folder: Path) -> bool:
        try:
            Adapter.read(folder, self.base)
        except CheckpointError:
            return False
        return True

    def _of_merged(self, base: Any, merged: Any, folder: Path, wanted: list[list[float]]) -> Route:
        if is_tied(base) == is_tied(merged):
            most = MOST_RANK[self.precision]
            factors = low_rank.factor_all(base, merged, self.base.architecture, most)
            if factors is not None:
                lora.write(factors, merged.name_or_path, self.base.architecture, folder)
                del base
                if self._loses_nothing(lambda: read_by_peft(self.read_base(), folder), wanted):
                    return "lora"
                _empty(folder)
        return self._weights(merged, folder)

    def _learned(self, model: Any, folder: Path, wanted: list[list[float]]) -> Route:
        learned = of_peft(model)
        base = model.get_base_model()
        found = logprobs.token_logprobs(base, self.prompts, learned.inputs(base))
        if parity.largest_difference(found, wanted) > LOSSLESS:
            raise ValueError(
                "what was trained does more than its learned prompt; give the method an export() "
                "of its own"
            )
        learned.write(folder)
        return "prefix" if isinstance(learned, Prefix) else "soft_prompt"

    def _weights(self, model: Any, folder: Path) -> Route:
        weights.write(model, folder, self.precision)
        return "weights"


def has_parameters_of(base: Any, merged: Any) -> bool:
    """Tell whether a merged model has the base's parameters, and at most a head of its own more."""
    if merged is None or added_parameters(base, merged):
        return False
    old, new = ({name: p.shape for name, p in m.named_parameters()} for m in (base, merged))
    return all(new.get(name) == shape for name, shape in old.items())


def added_parameters(base: Any, trained: Any) -> list[str]:
    """Return what a model has beyond the base model, by name; a head of its own does not count."""
    known = {name for name, _ in base.named_parameters()}
    head = head_weight(trained)
    new = trained.named_parameters()
    return sorted(name for name, p in new if name not in known and p is not head)


def _drop_unserved(folder: Path) -> None:
    for name in NOT_SERVED:
        (folder / name).unlink(missing_ok=True)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _tried(step: Callable[[], Any]) -> Any:
    """Return what a library makes; None where it cannot: a step may even lack the method."""
    try:
        return step()
    except Exception as error:
        if machine.is_out_of_memory(error):
            raise
        return None


def export(method: Method, model: Any, exporter: Exporter, folder: Path) -> Artefact:
    """Write a checkpoint's folder, whole or not at all, and identify it by its content."""
    part = folder.with_suffix(".partial")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with warnings.catch_warnings():
        # PEFT looks for the base model on the hub to see whether its vocabulary has grown.
        warnings.filterwarnings("ignore", message="Could not find a config file in")
        route = method.export(model, part) or exporter.write(model, part)
    _drop_unserved(part)
    _check_files(method, route, part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Artefact(
        route=route,
        sha256=hash_files(folder, files),
        bytes=sum(path.stat().st_size for path in files),
    )


def _check_files(method: Method, route: Route, folder: Path) -> None:
    if route not in get_args(Route) or route == "base":
        raise ValueError(
            f"export() of method {method.name!r} returned {route!r}; it must return None or one of "
            f"{', '.join(name for name in get_args(Route) if name != 'base')}"
        )
    if unfit := unfit_files(folder):
        raise ValueError(
            f"method {method.name!r} exported {', '.join(unfit)}; a checkpoint may hold "
            "only .safetensors and .json files"
        )
    if not any(folder.rglob("*.safetensors")):
        raise ValueError(f"method {method.name!r} exported no .safetensors file")


def of_base(model: Path) -> Artefact:
    """Identify the untuned base model by its weights; it needs no files of its own."""
    return Artefact(route="base", sha256=hash_files(model, model.glob("*.safetensors")), bytes=0)

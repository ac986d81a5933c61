"""How much memory a training needs, estimated before it begins.

One step is gone through with tensors that have a shape, a type and a device but no contents
(torch's FakeTensor), and what they would take is added up while they live. So every model, method
and optimizer counts as its own code is; formulas such as that of Korthikanti et al. (arXiv
2205.05198, section 4.1) are for one architecture. Assumed is what ``benchbench.train`` does:
weights in float32, AdamW if the method has no optimizer of its own, and a model that computes
packed rows as it computes samples apart. Left out are reading the model, what a method prepares,
validation, export, and what libraries take for themselves: kernels' scratch space and unused pieces
of the allocator; on a processor also the process that loads them, some hundred MB.
"""

import logging
import math
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchbench import machine
from benchbench.contract.method import Method, Training
from benchbench.errors import BenchbenchError
from benchbench.models.architecture import empty
from benchbench.models.base import BaseModel
from benchbench.models.prompt import Example, Renderer
from benchbench.plan.plan import Plan
from benchbench.specs import Precision, TrainSpec, canonical
from benchbench.train.batches import fill
from benchbench.train.examples import fill_answer, plan
from benchbench.train.schedule import learns_padding, schedule

LOOKED_AT = 2000
"""Training samples whose lengths a preview counts; evenly spread, where there are more."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the model sees at once, where that is most."""

    rows: int
    tokens: int
    """In a row, padding counted."""
    answers: int = 0
    """Tokens in a row of the decoder; 0 where one model reads and writes."""
    packed: bool = False


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Bytes that a training is estimated to need; unknown is None, never a guess.

    The parts are not all there at one time: gradients come as activations go, so that ``total`` is
    less than their sum.
    """

    shape: Shape
    trained_parameters: int | None = None
    weights: int | None = None
    """Of all parameters and buffers, frozen ones and the method's included."""
    gradients: int | None = None
    """Of the trained parameters."""
    states: int | None = None
    """What the optimizer keeps; AdamW twice the trained parameters."""
    activations: int | None = None
    """Most beside weights and states until the loss is known, logits included."""
    logits: int | None = None
    """Of these, the logits once in float32; loss and gradient take them several times."""
    total: int | None = None
    """Most at once."""
    reason: str = ""
    """Why something is unknown."""


def estimate_all(whole: Plan) -> dict[str, Estimate]:
    """Estimate what each run of a plan that trains will need, by run id."""
    found: dict[str, Estimate] = {}
    known: dict[tuple[str, Shape], Estimate] = {}
    examples = _examples(whole)
    for run in whole.runs:
        spec, method = run.spec, run.method
        if spec.train is None or not examples:
            continue
        paired = whole.model.encoder_decoder
        packed = spec.train.packing and method.packable and not paired
        shape = largest(examples, spec.train, spec.seed, packed=packed, paired=paired)
        key = canonical(spec.method), shape
        if key not in known:
            known[key] = estimate(whole.model, method, spec.train, shape, spec.precision)
        found[run.id] = known[key]
    return found


def _examples(whole: Plan) -> list[Example]:
    """Render training samples, not more than it takes to know their lengths."""
    if whole.training is None:
        return []
    samples, renderer = whole.training.samples, Renderer.of(whole.model)
    filled = any(r.spec.train and learns_padding(r.spec.train) for r in whole.runs)
    found = []
    for split, sample in samples[:: math.ceil(len(samples) / LOOKED_AT)]:
        example = renderer.example(split.task, sample, split.protocol)
        found.append(fill_answer(example, renderer, split.protocol) if filled else example)
    return [example for example in found if example.is_learned]


def largest(
    examples: Sequence[Example], train: TrainSpec, seed: int, *, packed: bool, paired: bool = False
) -> Shape:
    """Return the largest part of a batch among all steps, as ``benchbench.train`` deals them."""
    lengths = [len(e.prompt) + len(e.completion) for e in examples]

    def shape(part: Sequence[int]) -> Shape:
        if paired:
            return Shape(
                rows=len(part),
                tokens=max(len(examples[i].prompt) for i in part),
                answers=max(len(examples[i].completion) for i in part),
            )
        sizes = [lengths[i] for i in part]
        rows = len(fill(sizes, max(sizes))) if packed else len(sizes)
        return Shape(rows=rows, tokens=max(sizes), packed=packed)

    parts = (part for step in plan(lengths, train, seed) for part in step)
    return max(map(shape, parts), key=lambda s: s.rows * (s.tokens + s.answers))


def estimate(
    base: BaseModel, method: Method, train: TrainSpec, shape: Shape, precision: Precision
) -> Estimate:
    """Estimate what it takes to train a method on a base model.

    Its folder needs a config.json and no weights. What depends on the values of weights or data,
    as some methods' beginnings do, is unknown.
    """
    found = Estimate(shape=shape)
    try:
        for further in _steps(base, method, train, shape, precision):
            found = further
    except BenchbenchError:
        raise
    except Exception as error:  # of a stranger's method, or torch's: there is nothing to compute
        return replace(found, reason=_reason(method, error))
    return found


def _steps(
    base: BaseModel, method: Method, train: TrainSpec, shape: Shape, precision: Precision
) -> Iterator[Estimate]:
    """Yield what is known after each step of the way."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    training = _training(method, train)
    ledger = _ledger()
    with _quiet():
        model = empty(base.config, dtype=torch.float32)
        with torch.device("meta"):
            model = method.adapt(model, training)
        # PEFT keeps a learned prompt's positions, on "meta", in neither parameters nor buffers.
        with FakeTensorMode(allow_non_fake_inputs=True), ledger:
            _give_places(model)
            trained = [p for p in model.parameters() if p.requires_grad]
            found = Estimate(
                shape=shape,
                trained_parameters=sum(p.numel() for p in trained),
                weights=ledger.now,
                gradients=sum(p.nbytes for p in trained),
            )
            yield found
            optimizer = method.optimizer(model, training) or torch.optim.AdamW(trained, fused=True)
            for p in trained:
                p.grad = torch.empty_like(p)
            optimizer.step()
            held = ledger.now - found.gradients
            found = replace(found, states=held - found.weights)
            yield found
            if train.gradient_accumulation == 1:  # else they are kept from part to part
                optimizer.zero_grad()
            ledger.peak = ledger.now
            before = ledger.now
            if train.gradient_checkpointing:
                model.gradient_checkpointing_enable()
            loss, logits = _loss(model.train(), shape, precision)
            found = replace(found, activations=ledger.peak - before, logits=logits)
            loss.backward()
            yield replace(found, total=ledger.peak)


def _training(method: Method, train: TrainSpec) -> Training:
    def batches() -> Iterator[dict[str, Any]]:
        raise ValueError(f"{method.name} begins from data")

    return Training(
        steps=train.steps or 100,
        parts=train.gradient_accumulation,
        weight_decay=schedule(train, method.role).weight_decay,
        max_grad_norm=train.max_grad_norm,
        batches=batches,
    )


def _give_places(model: Any) -> None:
    """Put a model's parameters and buffers where tensors live; those that are shared stay so."""
    import torch

    made: dict[int, Any] = {}
    device = machine.device()
    for module in model.modules():
        for named in (module._parameters, module._buffers):
            for name, old in named.items():
                if old is None:
                    continue
                if id(old) not in made:
                    new: Any = torch.empty_strided(
                        old.size(), old.stride(), dtype=old.dtype, device=device
                    )
                    if isinstance(old, torch.nn.Parameter):
                        new = torch.nn.Parameter(new, requires_grad=old.requires_grad)
                    made[id(old)] = (new, old)  # held, so that its id is not given again
                named[name] = made[id(old)][0]


def _loss(model: Any, shape: Shape, precision: Precision) -> tuple[Any, int]:
    """Return the loss of a batch as Trainer computes it, and the bytes of its logits in float32."""
    import torch
    from accelerate.utils import convert_outputs_to_fp32

    device, mixed = machine.device(), precision == "bfloat16"
    tokens = torch.zeros((shape.rows, shape.tokens), dtype=torch.long, device=device)
    batch = {"input_ids": tokens, "labels": tokens.clone()}
    # Positions without a mask are how packed rows are told from others.
    batch["position_ids" if shape.packed else "attention_mask"] = torch.ones_like(tokens)
    if shape.answers:
        batch["labels"] = tokens.new_zeros((shape.rows, shape.answers))
    with torch.autocast(device, torch.bfloat16, enabled=mixed):
        output = model(**batch, use_cache=False)
    if mixed:
        output = convert_outputs_to_fp32(lambda: output)()
    return output.loss, 4 * output.logits.numel()


def _ledger() -> Any:
    """Return a mode of torch that adds up the storages alive, and remembers the most at once."""
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.now = self.peak = 0
            self.alive: dict[int, Any] = {}

        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = function(*args, **(kwargs or {}))
            for leaf in tree_leaves(out):
                if isinstance(leaf, Tensor):
                    self.enter(leaf.untyped_storage())
            return out

        def enter(self, storage: Any) -> None:
            key = storage._cdata
            if key not in self.alive:
                size = storage.nbytes()
                leave = weakref.finalize(storage, self.leave, key, size)
                leave.atexit = False
                self.alive[key] = leave
                self.now += size
                self.peak = max(self.peak, self.now)

        def leave(self, key: int, size: int) -> None:
            del self.alive[key]
            self.now -= size

    return Ledger()


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of tensors without contents; training warns of what there is to warn of."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(level)


def _reason(method: Method, error: Exception) -> str:
    """Say why something is unknown; what torch says of tensors without contents tells nobody."""
    text = " ".join(str(error).split())
    # Torch's own classes for it are not public: DataDependentOutputException and its like.
    if "meta tensor" in text or type(error).__module__ == "torch._subclasses.fake_tensor":
        return f"{method.name} looks at the values of weights or data"
    if text and isinstance(error, ImportError | ValueError):
        return text
    return f"{type(error).__name__}: {text[:200]}"

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
from dataclasses import dataclass
from typing import Any

from benchbench import machine
from benchbench.contract.method import Method
from benchbench.errors import BenchbenchError
from benchbench.models.architecture import empty
from benchbench.models.base import BaseModel
from benchbench.models.prompt import Example
from benchbench.plan.plan import Plan
from benchbench.specs import Precision, TrainSpec, canonical
from benchbench.train.batches import fill
from benchbench.train.examples import plan, rendered
from benchbench.train.schedule import training

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
    """The memory that a training is estimated to need."""

    shape: Shape
    total: int | None = None
    """Bytes, most at once; None where that is unknown, and never a guess."""
    reason: str = ""
    """Why it is unknown."""


def estimate_all(whole: Plan) -> dict[str, Estimate]:
    """Estimate what each run of a plan that trains will need, by run id."""
    samples = whole.training
    if samples is None:
        return {}
    few = rendered(whole, samples, math.ceil(len(samples.samples) / LOOKED_AT))
    examples = [example for example in few if example.is_learned]
    paired = whole.model.encoder_decoder
    found: dict[str, Estimate] = {}
    known: dict[tuple[str, Shape], Estimate] = {}
    for run in whole.runs if examples else ():
        spec, method = run.spec, run.method
        if spec.train is None:
            continue
        packed = spec.train.packing and method.packable and not paired
        shape = largest(examples, spec.train, spec.seed, packed=packed, paired=paired)
        key = canonical(spec.method), shape
        if key not in known:
            known[key] = estimate(whole.model, method, spec.train, shape, spec.precision)
        found[run.id] = known[key]
    return found


def largest(
    examples: Sequence[Example], train: TrainSpec, seed: int, *, packed: bool, paired: bool = False
) -> Shape:
    """Return the largest part of a batch among all steps, as ``benchbench.train`` deals them."""
    lengths = [len(example.tokens) for example in examples]

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
    try:
        return Estimate(shape=shape, total=_most(base, method, train, shape, precision))
    except BenchbenchError:
        raise
    except Exception as error:  # of a stranger's method, or torch's: there is nothing to compute
        return Estimate(shape=shape, reason=_reason(method, error))


def _most(
    base: BaseModel, method: Method, train: TrainSpec, shape: Shape, precision: Precision
) -> int:
    """Return the most bytes that are held at once from the first step on."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    def batches() -> Iterator[dict[str, Any]]:
        raise ValueError(f"{method.name} begins from data")

    told = training(
        train,
        method.role,
        steps=train.steps or 100,
        parts=train.gradient_accumulation,
        batches=batches,
    )
    held = _held()
    with _quiet():
        model = empty(base.config, dtype=torch.float32)
        with torch.device("meta"):
            model = method.adapt(model, told)
        # PEFT keeps a learned prompt's positions, on "meta", in neither parameters nor buffers.
        with FakeTensorMode(allow_non_fake_inputs=True), held:
            _give_places(model)
            trained = [p for p in model.parameters() if p.requires_grad]
            optimizer = method.optimizer(model, told) or torch.optim.AdamW(trained, fused=True)
            for p in trained:
                p.grad = torch.empty_like(p)
            optimizer.step()
            if train.gradient_accumulation == 1:  # else they are kept from part to part
                optimizer.zero_grad()
            held.most = held.now
            if train.gradient_checkpointing:
                model.gradient_checkpointing_enable()
            _loss(model.train(), shape, precision).backward()
            most: int = held.most
            return most


def _give_places(model: Any) -> None:
    """Put a model's parameters and buffers where tensors live; those that are shared stay so."""
    import torch

    made: dict[Any, Any] = {}
    device = machine.device()
    for module in model.modules():
        for named in (module._parameters, module._buffers):
            for name, old in named.items():
                if old is None:
                    continue
                if old not in made:
                    new: Any = torch.empty_strided(
                        old.size(), old.stride(), dtype=old.dtype, device=device
                    )
                    if isinstance(old, torch.nn.Parameter):
                        new = torch.nn.Parameter(new, requires_grad=old.requires_grad)
                    made[old] = new
                named[name] = made[old]


def _loss(model: Any, shape: Shape, precision: Precision) -> Any:
    """Return the loss of a batch as Trainer computes it."""
    import torch
    from accelerate.utils import convert_outputs_to_fp32

    tokens = torch.zeros((shape.rows, shape.tokens), dtype=torch.long, device=machine.device())
    batch = {"input_ids": tokens, "labels": tokens.clone()}
    # Positions without a mask are how packed rows are told from others.
    batch["position_ids" if shape.packed else "attention_mask"] = torch.ones_like(tokens)
    if shape.answers:
        batch["labels"] = tokens.new_zeros((shape.rows, shape.answers))
    with machine.autocast(precision):
        output = model(**batch, use_cache=False)
    if precision == "bfloat16":
        output = convert_outputs_to_fp32(lambda: output)()
    return output.loss


def _held() -> Any:
    """Return a mode of torch that adds up the storages alive, and remembers the most at once."""
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
        now = most = 0

        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = function(*args, **(kwargs or {}))
            for leaf in tree_leaves(out):
                if isinstance(leaf, Tensor) and leaf.untyped_storage() not in alive:
                    self.enter(leaf.untyped_storage())
            return out

        def enter(self, storage: Any) -> None:
            alive.add(storage)
            weakref.finalize(storage, self.add, -storage.nbytes()).atexit = False
            self.add(storage.nbytes())

        def add(self, size: int) -> None:
            self.now += size
            self.most = max(self.most, self.now)

    alive = weakref.WeakSet[Any]()
    return Held()  # type: ignore[no-untyped-call]


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

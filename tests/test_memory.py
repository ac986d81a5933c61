"""Estimated memory: counted exactly where it can be, and unknown where it cannot."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchbench import Method, MethodSpec, TaskSpec, Training
from benchbench.errors import ModelError
from benchbench.models.base import BaseModel
from benchbench.models.prompt import Example
from benchbench.plan.plan import Grid, make_plan
from benchbench.registry.registry import Registry
from benchbench.train.memory import Estimate, Shape, estimate, estimate_all, largest
from benchbench.train.recorder import count_parameters
from tests import toys
from tests.toy_jobs import TRAIN, some_examples
from tests.toy_training import Toy

SMALL = Shape(rows=2, tokens=16)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


def needs(model: Path, method: Method, shape: Shape = SMALL, **train: Any) -> Estimate:
    found = estimate(BaseModel(model), method, replace(TRAIN, **train), shape, "float32")
    assert not found.reason
    return found


@pytest.mark.parametrize(
    "name", ["full", "lora", "adapter", "bitfit", "prompt-tuning", "prefix-tuning", "dora", "ia3"]
)
def test_what_is_trained_is_counted_exactly(
    registry: Registry, tiny_model: Path, untied_model: Path, name: str
) -> None:
    import torch

    method = registry.method(MethodSpec(name=name))
    training = Training(
        steps=1, parts=1, weight_decay=0.0, max_grad_norm=1.0, batches=lambda: iter(())
    )
    for folder in (tiny_model, untied_model):
        real = method.adapt(BaseModel(folder).load(torch.float32), training)
        counted = count_parameters(real)
        found = needs(folder, method)
        assert found.trained_parameters == counted.trainable_parameters
        assert found.gradients == counted.trained_bytes
        held = {id(t): t.nbytes for t in (*real.parameters(), *real.buffers())}
        assert found.weights == sum(held.values())


def test_adam_keeps_two_numbers_of_each_that_is_trained(
    registry: Registry, tiny_model: Path
) -> None:
    found = needs(tiny_model, registry.method(MethodSpec(name="full")))
    assert found.states is not None and found.gradients is not None
    steps = 4 * 20  # a step number for each tensor
    assert 0 <= found.states - 2 * found.gradients <= steps
    assert found.logits == 4 * SMALL.rows * SMALL.tokens * 320


def test_another_optimizer_keeps_what_it_keeps(tiny_model: Path) -> None:
    class Plain(Toy):
        name = "plain"

        def optimizer(self, model: Any, training: Training) -> Any:
            import torch

            return torch.optim.SGD(model.parameters(), lr=self.learning_rate)

    assert needs(tiny_model, Plain()).states == 0


@pytest.mark.parametrize(("name", "packed"), [("full", True), ("lora", False)])
def test_more_is_never_less(registry: Registry, tiny_model: Path, name: str, packed: bool) -> None:
    method = registry.method(MethodSpec(name=name))
    shapes = [(1, 32), (2, 32), (4, 64)]
    found = [
        needs(tiny_model, method, Shape(rows=rows, tokens=tokens, packed=packed))
        for rows, tokens in shapes
    ]
    for less, more in pairwise(found):
        assert less.activations < more.activations  # type: ignore[operator]
        assert less.total <= more.total  # type: ignore[operator]
        assert (less.weights, less.states) == (more.weights, more.states)
    assert found[0].total < found[-1].total  # type: ignore[operator]
    # Rows are independent: twice as many take twice as much.
    assert found[1].activations == pytest.approx(2 * found[0].activations, rel=0.05)  # type: ignore[operator]


def test_activations_are_those_that_autograd_keeps(registry: Registry, tiny_model: Path) -> None:
    """What a real step keeps for its backward pass is in the estimate, and it is most of it."""
    import torch

    model = BaseModel(tiny_model).load(torch.float32).train()
    owned = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = storage
        return tensor

    tokens = torch.randint(3, 300, (4, 64))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(
            tokens, labels=tokens, attention_mask=torch.ones_like(tokens), use_cache=False
        ).loss
    saved = sum(storage.nbytes() for storage in kept.values())
    found = needs(tiny_model, registry.method(MethodSpec(name="full")), Shape(rows=4, tokens=64))
    assert saved <= found.activations <= 1.5 * saved  # type: ignore[operator]
    assert loss.isfinite()


def test_recomputing_saves_activations_and_parts_keep_gradients(
    registry: Registry, tiny_model: Path
) -> None:
    full, shape = registry.method(MethodSpec(name="full")), Shape(rows=4, tokens=64)
    plain = needs(tiny_model, full, shape)
    recomputed = needs(tiny_model, full, shape, gradient_checkpointing=True)
    assert recomputed.activations < plain.activations  # type: ignore[operator]
    assert recomputed.total < plain.total  # type: ignore[operator]
    in_parts = needs(tiny_model, full, shape, gradient_accumulation=2)
    # The gradients of earlier parts are there when activations are most.
    assert in_parts.activations == plain.activations
    assert in_parts.total >= plain.total  # type: ignore[operator]


def test_arithmetic_in_bfloat16_halves_some_activations(
    registry: Registry, tiny_model: Path
) -> None:
    full, shape = registry.method(MethodSpec(name="full")), Shape(rows=4, tokens=64)
    mixed = estimate(BaseModel(tiny_model), full, TRAIN, shape, "bfloat16")
    assert (mixed.reason, mixed.gradients) == ("", needs(tiny_model, full).gradients)
    assert mixed.total is not None


def test_an_encoder_decoder_model_is_estimated(registry: Registry, t5_folder: Path) -> None:
    shape = Shape(rows=2, tokens=16, answers=8)
    more = replace(shape, answers=16)
    lora = registry.method(MethodSpec(name="lora"))
    found, larger = (needs(t5_folder, lora, each) for each in (shape, more))
    assert found.activations < larger.activations  # type: ignore[operator]


@pytest.fixture
def t5_folder(tmp_path: Path) -> Path:
    from transformers import T5Config

    sizes = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
    named = {"architectures": ["T5ForConditionalGeneration"], "decoder_start_token_id": 0}
    config = T5Config(vocab_size=320, **sizes, **named)
    config.save_pretrained(tmp_path)
    return tmp_path


def test_what_depends_on_data_or_weights_is_unknown_and_says_why(
    registry: Registry, tiny_model: Path
) -> None:
    class Curious(Toy):
        name = "curious"

        def adapt(self, model: Any, training: Training) -> Any:
            next(training.batches())

    class Weighs(Toy):
        name = "weighs"

        def adapt(self, model: Any, training: Training) -> Any:
            if model.lm_head.weight.sum().item() > 0:
                model.requires_grad_(False)
            return model

    class Steps(Toy):
        name = "steps"

        def optimizer(self, model: Any, training: Training) -> Any:
            float(next(model.parameters()).sum())

    class Wrong(Toy):
        name = "wrong"

        def adapt(self, model: Any, training: Training) -> Any:
            raise KeyError("no_such_layer")

    reasons = {}
    for method in (Curious(), Weighs(), Steps(), Wrong()):
        found = estimate(BaseModel(tiny_model), method, TRAIN, SMALL, "float32")
        assert found.total is None
        reasons[method.name] = found.reason
    assert reasons == {
        "curious": "curious begins from data",
        "weighs": "weighs looks at the values of weights or data",
        "steps": "steps looks at the values of weights or data",
        "wrong": "KeyError: 'no_such_layer'",
    }
    known = estimate(BaseModel(tiny_model), Steps(), TRAIN, SMALL, "float32")
    assert known.gradients == needs(tiny_model, Toy()).gradients and known.states is None


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        estimate(BaseModel(tmp_path), Toy(), TRAIN, SMALL, "float32")


def test_the_largest_part_is_found() -> None:
    examples = some_examples(32)
    lengths = [len(e.prompt) + len(e.completion) for e in examples]
    apart = largest(examples, TRAIN, 0, packed=False)
    assert apart.rows <= TRAIN.batch_size and apart.tokens <= max(lengths)
    one = largest(examples, replace(TRAIN, batch_size=32), 0, packed=False)
    assert (one.rows, one.tokens) == (32, max(lengths))
    together = largest(examples, replace(TRAIN, batch_size=32), 0, packed=True)
    assert together.rows < 32 and sum(lengths) <= together.rows * together.tokens
    halves = largest(
        examples, replace(TRAIN, batch_size=32, gradient_accumulation=2), 0, packed=False
    )
    assert halves.rows == 16
    both = [
        Example(prompt=(1,) * 9, completion=(2,) * 3),
        Example(prompt=(1,), completion=(2,) * 5),
    ]
    shape = largest(both, TRAIN, 0, packed=False, paired=True)
    assert (shape.rows, shape.tokens, shape.answers) == (2, 9, 5)


def test_every_run_that_trains_is_estimated(tiny_model: Path) -> None:
    registry = toys.registry(tiny_model)
    grid = Grid(
        model="toy",
        methods=(MethodSpec(name="part"), MethodSpec(name="whole")),
        tasks=(TaskSpec(name="echo"),),
        seeds=(1, 2),
    )
    plan = make_plan(grid, registry, None, "float32")
    found = estimate_all(plan)
    assert found.keys() == {run.id for run in plan.runs if run.spec.train}
    assert all(each.total for each in found.values())

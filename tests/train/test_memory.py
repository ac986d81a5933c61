"""Estimated memory: counted exactly where it can be, and unknown where it cannot."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchbench import Method, MethodSpec, TaskSpec, Training
from benchbench.errors import ModelError
from benchbench.models.base import BaseModel
from benchbench.models.prompt import Example
from benchbench.plan.plan import Grid, make_plan
from benchbench.registry.registry import Registry
from benchbench.train.memory import Shape, estimate, estimate_all, largest
from benchbench.train.schedule import training
from tests import toys
from tests.toys.jobs import TRAIN, some_examples
from tests.toys.training import Toy

SMALL = Shape(rows=2, tokens=16)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


def needs(model: Path, method: Method, shape: Shape = SMALL, **train: Any) -> int:
    found = estimate(BaseModel(model), method, replace(TRAIN, **train), shape, "float32")
    assert not found.reason and found.total
    return found.total


def held(model: Path, method: Method) -> int:
    """Bytes of the real weights, their gradients, and what AdamW keeps, all at one time."""
    import torch

    told = training(TRAIN, method.role, steps=1, parts=1, batches=lambda: iter(()))
    real = method.adapt(BaseModel(model).load(torch.float32), told)
    weights = {id(t): t.nbytes for t in (*real.parameters(), *real.buffers())}
    trained = [p for p in real.parameters() if p.requires_grad]
    step_numbers = 4 * len(trained)
    return sum(weights.values()) + 3 * sum(p.nbytes for p in trained) + step_numbers


@pytest.mark.parametrize(
    "name", ["full", "lora", "adapter", "bitfit", "prompt-tuning", "prefix-tuning", "dora", "ia3"]
)
def test_what_is_held_from_step_to_step_is_counted_exactly(
    registry: Registry, tiny_model: Path, untied_model: Path, name: str
) -> None:
    method = registry.method(MethodSpec(name=name))
    for folder in (tiny_model, untied_model):
        rest = needs(folder, method, Shape(rows=1, tokens=2)) - held(folder, method)
        # Beside it there is little: a gradient of embeddings that is added up, learned tokens.
        assert 0 <= rest < (250_000 if name in ("full", "prompt-tuning") else 100_000)


class Plain(Toy):
    """Trains everything without a state."""

    name = "plain"

    def optimizer(self, model: Any, training: Training) -> Any:
        import torch

        return torch.optim.SGD(model.parameters(), lr=self.learning_rate)


def test_adam_keeps_two_numbers_of_each_that_is_trained_and_another_what_it_keeps(
    registry: Registry, tiny_model: Path
) -> None:
    full = registry.method(MethodSpec(name="full"))
    weights = [p.nbytes for p in BaseModel(tiny_model).load("auto").parameters()]
    step_numbers = 4 * len(weights)
    assert needs(tiny_model, full) - needs(tiny_model, Plain()) == 2 * sum(weights) + step_numbers


@pytest.mark.parametrize(("name", "packed"), [("full", True), ("lora", False)])
def test_more_is_never_less(registry: Registry, tiny_model: Path, name: str, packed: bool) -> None:
    method = registry.method(MethodSpec(name=name))
    shapes = [(1, 32), (2, 32), (4, 32), (4, 64)]
    found = [
        needs(tiny_model, method, Shape(rows=rows, tokens=tokens, packed=packed))
        for rows, tokens in shapes
    ]
    assert found == sorted(found)
    # Rows are independent: twice as many take twice as much, beside few gradients.
    if name == "lora":
        assert found[2] - found[1] == pytest.approx(2 * (found[1] - found[0]), rel=0.01)


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
    weights = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
    found = needs(tiny_model, Plain(), Shape(rows=4, tokens=64)) - weights
    assert saved <= found <= 1.5 * saved
    assert loss.isfinite()


def test_recomputing_saves_activations_and_parts_keep_gradients(
    registry: Registry, tiny_model: Path
) -> None:
    full, shape = registry.method(MethodSpec(name="full")), Shape(rows=4, tokens=64)
    plain = needs(tiny_model, full, shape)
    assert needs(tiny_model, full, shape, gradient_checkpointing=True) < plain
    # The gradients of earlier parts are there when activations are most.
    weights = [p.nbytes for p in BaseModel(tiny_model).load("auto").parameters()]
    more = needs(tiny_model, full, shape, gradient_accumulation=2) - plain
    assert 0 < more <= sum(weights)


def test_arithmetic_in_bfloat16_halves_some_activations(
    registry: Registry, tiny_model: Path
) -> None:
    full, shape = registry.method(MethodSpec(name="full")), Shape(rows=4, tokens=64)
    mixed = estimate(BaseModel(tiny_model), full, TRAIN, shape, "bfloat16")
    assert mixed.total is not None and not mixed.reason


def test_an_encoder_decoder_model_is_estimated(registry: Registry, t5_folder: Path) -> None:
    shape = Shape(rows=2, tokens=16, answers=8)
    lora = registry.method(MethodSpec(name="lora"))
    assert needs(t5_folder, lora, shape) < needs(t5_folder, lora, replace(shape, answers=16))


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


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        estimate(BaseModel(tmp_path), Toy(), TRAIN, SMALL, "float32")


def test_the_largest_part_is_found() -> None:
    examples = some_examples(32)
    lengths = [len(e.tokens) for e in examples]
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

"""vLLM, really run on this machine's processor, against the traps that it falls into silently."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchbench.engines import Completion, Engine, EngineSettings, Request, open_engine
from benchbench.errors import CheckpointError, EngineError
from benchbench.record import Checkpoint
from benchbench.task import Generation
from tests import checkpoints
from tests.conftest import write_model

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

GREEDY = Generation(max_tokens=16)
PROMPTS = [tuple([0, *((3 + 7 * i + 5 * j) % 317 for j in range(4 + i % 9))]) for i in range(16)]


@dataclass(frozen=True)
class World:
    """A base model, its checkpoints, and both engines serving them."""

    model: Path
    checkpoints: dict[str, Checkpoint]
    vllm: Engine
    reference: Engine


@pytest.fixture(scope="module")
def world(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("served")
    made = [
        checkpoints.base(tiny_model),
        checkpoints.lora(folder / "lora4", tiny_model, rank=4, seed=1),
        checkpoints.lora(folder / "lora5", tiny_model, rank=5, seed=2),
        checkpoints.full(folder / "full1", tiny_model, seed=3),
        checkpoints.full(folder / "full2", tiny_model, seed=4),
    ]
    settings = EngineSettings(model=tiny_model, precision="float32", max_tokens=256)
    vllm = opened("vllm", settings, made)
    reference = opened("transformers", settings, made)
    yield World(tiny_model, {c.run_id: c for c in made}, vllm, reference)
    vllm.close()
    reference.close()


def opened(name: str, settings: EngineSettings, made: list[Checkpoint]) -> Engine:
    engine = open_engine(name, settings, made)
    engine.load(made)
    return engine


def requests(*names: str, generation: Generation = GREEDY) -> list[Request]:
    return [
        Request(id=f"{name}/{i}", checkpoint=name, prompt=prompt, generation=generation, seed=i)
        for i, prompt in enumerate(PROMPTS)
        for name in names
    ]


def answers(engine: Engine, *names: str) -> dict[str, Completion]:
    return {c.id: c for c in engine.complete(requests(*names))}


def test_both_engines_give_the_same_tokens_and_texts(world: World) -> None:
    """80 prompts in one call: base, two adapters of ranks vLLM does not list, two full models."""
    names = list(world.checkpoints)
    fast, slow = answers(world.vllm, *names), answers(world.reference, *names)
    assert len(fast) == 5 * len(PROMPTS)
    assert fast == slow
    said = {name: {fast[f"{name}/{i}"].tokens for i in range(len(PROMPTS))} for name in names}
    assert len({frozenset(s) for s in said.values()}) == 5  # each checkpoint says its own


def test_both_engines_give_the_same_log_probabilities(world: World) -> None:
    for name in world.checkpoints:
        fast = world.vllm.logprobs(name, PROMPTS)
        slow = world.reference.logprobs(name, PROMPTS)
        for one, other in zip(fast, slow, strict=True):
            assert one == pytest.approx(other, abs=1e-4)


def test_base_rows_beside_adapters_are_the_base_models(world: World) -> None:
    """vLLM 0.32 gives them the adapter of the last slot on processors."""
    mixed = answers(world.vllm, "lora4", "base", "lora5")
    alone = answers(world.vllm, "base")
    assert {k: v for k, v in mixed.items() if k.startswith("base")} == alone


def test_adapters_mixed_are_as_adapters_alone(world: World) -> None:
    mixed = answers(world.vllm, "lora4", "lora5")
    alone = answers(world.vllm, "lora4") | answers(world.vllm, "lora5")
    assert mixed == alone


def test_the_order_of_requests_does_not_matter(world: World) -> None:
    wanted = requests("lora4", "full1", "base")
    forwards = {c.id: c for c in world.vllm.complete(wanted)}
    backwards = {c.id: c for c in world.vllm.complete(list(reversed(wanted)))}
    assert forwards == backwards


def test_swaps_there_and_back_leave_nothing_behind(world: World) -> None:
    """Tied heads keep a packed copy; cached prefixes are of other weights; adapters are dropped."""
    first = {name: answers(world.vllm, name) for name in ("base", "lora4", "full1", "full2")}
    for name in ("full1", "lora4", "full2", "base", "full1", "lora4"):
        assert answers(world.vllm, name) == first[name]


def test_a_run_with_new_content_is_not_served_from_the_old(world: World, tmp_path: Path) -> None:
    """The same id would silently be answered by the old weights."""
    old = checkpoints.lora(tmp_path / "changing", world.model, seed=11)
    world.vllm.load([old])
    before = answers(world.vllm, "changing")
    new = checkpoints.lora(tmp_path / "changing", world.model, seed=12)
    assert new.folder == old.folder and new.sha256 != old.sha256
    world.vllm.load([new])
    world.reference.load([new])
    after = answers(world.vllm, "changing")
    assert after != before
    assert after == answers(world.reference, "changing")


def test_full_weights_with_new_content_are_read_again(world: World, tmp_path: Path) -> None:
    for seed in (21, 22):
        changed = checkpoints.full(tmp_path / "full", world.model, seed=seed)
        for engine in (world.vllm, world.reference):
            engine.load([changed])
        assert answers(world.vllm, "full") == answers(world.reference, "full")


@pytest.mark.parametrize("fault", ["nan", "truncated", "smaller base", "deeper base", "too large"])
def test_a_bad_adapter_is_refused_and_its_neighbours_are_unharmed(
    fault: str, world: World, tmp_path: Path
) -> None:
    good = answers(world.vllm, "lora4", "base")
    changes = {"smaller base": {"hidden_size": 32}, "deeper base": {"num_hidden_layers": 3}}
    model = world.model
    if fault in changes:
        model = write_model(tmp_path / "model", **changes[fault])
    rank = 16 if fault == "too large" else 4
    bad = checkpoints.lora(tmp_path / "bad", model, rank=rank)
    weights = bad.folder / "adapter_model.safetensors"
    if fault == "nan":
        checkpoints.change_tensor(weights, "lora_B", lambda tensor: tensor * float("nan"))
    if fault == "truncated":
        weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(CheckpointError):
        world.vllm.load([checkpoints.checkpoint(bad.folder, "lora")])
    assert answers(world.vllm, "lora4", "base") == good


def test_an_adapter_that_overflows_is_named_and_poisons_nobody(
    world: World, tmp_path: Path
) -> None:
    """Finite weights, infinite results: on processors the NaN stays in the cache for the next."""
    good = answers(world.vllm, "lora4", "base")
    huge = checkpoints.lora(tmp_path / "huge", world.model, scale=1e30)
    world.vllm.load([huge])
    with pytest.raises(CheckpointError, match=r"run huge .* not numbers"):
        answers(world.vllm, "huge")
    for _ in range(3):
        assert answers(world.vllm, "lora4", "base") == good


def test_sampling_is_repeatable_by_seed_and_has_n_answers(world: World) -> None:
    generation = Generation(max_tokens=8, temperature=1.0, top_p=0.9, n=3)
    wanted = requests("lora4", generation=generation)[:4]
    first = {c.id: c for c in world.vllm.complete(wanted)}
    second = {c.id: c for c in world.vllm.complete(wanted[::-1])}
    assert first == second
    assert all(len(c.texts) == len(c.tokens) == len(c.finish_reasons) == 3 for c in first.values())
    other = [replace(request, seed=request.seed + 100) for request in wanted]
    assert {c.id: c for c in world.vllm.complete(other)} != first


def test_stop_texts_end_a_completion_and_are_left_out(world: World) -> None:
    plain = answers(world.vllm, "base")
    name, whole = next((k, c.texts[0]) for k, c in plain.items() if len(c.texts[0].strip()) > 4)
    stop = whole.strip()[2:4]
    generation = Generation(max_tokens=16, stop=(stop,))
    for engine in (world.vllm, world.reference):
        found = {c.id: c for c in engine.complete(requests("base", generation=generation))}
        assert found[name].texts[0] == whole[: whole.index(stop)]
        assert found[name].finish_reasons == ("stop",)


def test_completions_end_at_max_tokens(world: World) -> None:
    found = world.vllm.complete(requests("base", generation=Generation(max_tokens=3)))
    assert all(len(c.tokens[0]) <= 3 for c in found)


def test_no_requests_are_no_work(world: World) -> None:
    assert list(world.vllm.complete([])) == []


def test_a_listener_that_leaves_does_not_disturb_the_next(world: World) -> None:
    wanted = answers(world.vllm, "lora5")
    leaving = world.vllm.complete(requests("lora4"))
    next(leaving)
    leaving.close()  # type: ignore[attr-defined]
    assert answers(world.vllm, "lora5") == wanted


def test_an_unknown_checkpoint_is_one_sentence(world: World) -> None:
    with pytest.raises(EngineError, match="run nobody is not loaded"):
        answers(world.vllm, "nobody")


def test_an_untied_model_is_swapped_too(untied_model: Path, tmp_path: Path) -> None:
    made = [checkpoints.base(untied_model), checkpoints.full(tmp_path / "full", untied_model)]
    settings = EngineSettings(model=untied_model, precision="float32", max_tokens=256)
    found = []
    for name in ("vllm", "transformers"):
        engine = opened(name, settings, made)
        found.append([answers(engine, "base"), answers(engine, "full"), answers(engine, "base")])
        engine.close()
    assert found[0] == found[1]
    with pytest.raises(EngineError, match="closed"):
        answers(engine_closed(untied_model, made), "base")


def engine_closed(model: Path, made: list[Checkpoint]) -> Engine:
    settings = EngineSettings(model=model, precision="float32", max_tokens=256)
    engine = opened("vllm", settings, made[:1])
    engine.close()
    return engine

"""vLLM, really run on this machine's processor, against the traps that it falls into silently."""

import importlib.util
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from benchbench.contract.task import Generation
from benchbench.engines.engine import Completion, Engine, Request
from benchbench.errors import CheckpointError, CheckpointOverflow, EngineError
from tests.conftest import write_model
from tests.toys import checkpoints
from tests.toys.served import GREEDY, PROMPTS, World, answers, opened, requests, settings_of

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]


@pytest.fixture(scope="module")
def world(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("served")
    made = [
        checkpoints.base(tiny_model),
        checkpoints.lora(folder / "lora4", tiny_model, rank=4, seed=1),
        checkpoints.lora(folder / "lora5", tiny_model, rank=5, seed=2),
        checkpoints.full(folder / "full1", tiny_model, seed=3),
        checkpoints.full(folder / "full2", tiny_model, seed=4),
        checkpoints.soft_prompt(folder / "soft3", tiny_model, tokens=3, seed=5),
        checkpoints.soft_prompt(folder / "soft7", tiny_model, tokens=7, seed=6),
        checkpoints.prefix(folder / "prefix4", tiny_model, tokens=4, seed=7),
        checkpoints.prefix(folder / "prefix9", tiny_model, tokens=9, seed=8),
        checkpoints.added(folder / "bottlenecks", tiny_model, checkpoints.bottlenecks, seed=9),
        checkpoints.added(folder / "biases", tiny_model, checkpoints.biases, seed=10),
    ]
    settings = settings_of(tiny_model)
    vllm = opened("vllm", settings, made)
    reference = opened("transformers", settings, made)
    yield World(tiny_model, {c.run_id: c for c in made}, vllm, reference)
    vllm.close()
    reference.close()


def test_both_engines_give_the_same_tokens_and_texts(world: World) -> None:
    """Every route in one call; the adapters have ranks that vLLM does not list."""
    names = list(world.checkpoints)
    fast, slow = answers(world.vllm, *names), answers(world.reference, *names)
    assert len(fast) == len(names) * len(PROMPTS)
    assert fast == slow
    said = {name: {fast[f"{name}/{i}"].tokens for i in range(len(PROMPTS))} for name in names}
    assert len({frozenset(s) for s in said.values()}) == len(names)  # each checkpoint says its own


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


def test_cached_prefixes_of_other_weights_are_not_used(world: World, tmp_path: Path) -> None:
    """vLLM caches whole blocks of 128 tokens on processors, so that short prompts show nothing."""
    long = tuple((3 + 5 * j) % 317 for j in range(200))

    def said(engine: Engine, name: str) -> list[Completion]:
        request = Request(id="it", checkpoint=name, prompt=long, generation=GREEDY)
        return list(engine.complete([request]))

    for name in ("base", "full1", "full2", "base", "lora4", "full1", "lora5", "lora4"):
        assert said(world.vllm, name) == said(world.reference, name)
    for seed in (31, 32):
        changed = checkpoints.lora(tmp_path / "changing", world.model, seed=seed)
        for engine in (world.vllm, world.reference):
            engine.load([changed])
        assert said(world.vllm, "changing") == said(world.reference, "changing")


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


ROUTES = ("lora4", "full1", "soft7", "prefix4", "bottlenecks")


@pytest.mark.parametrize("kind", ["vllm", "reference"])
def test_a_run_that_changes_its_route_is_served_as_what_it_is_now(kind: str, world: World) -> None:
    """Every route after every other; nothing of the one before may be left, nor in the base."""
    engine: Engine = getattr(world, kind)
    wanted = {name: list(answers(engine, name).values()) for name in (*ROUTES, "base")}
    for before, after in permutations(ROUTES, 2):
        for name in (before, after):
            engine.load([replace(world.checkpoints[name], run_id="changing")])
            found = list(answers(engine, "changing").values())
            assert [c.tokens for c in found] == [c.tokens for c in wanted[name]], (before, after)
        assert list(answers(engine, "base").values()) == wanted["base"]


def test_a_run_whose_new_content_is_refused_is_not_answered_by_the_old(
    world: World, tmp_path: Path
) -> None:
    world.vllm.load([checkpoints.soft_prompt(tmp_path / "run", world.model)])
    answers(world.vllm, "run")
    longer = checkpoints.soft_prompt(tmp_path / "run", world.model, tokens=50)
    with pytest.raises(EngineError, match="learned 50 tokens"):
        world.vllm.load([longer])
    with pytest.raises(EngineError, match="run run is not loaded"):
        answers(world.vllm, "run")


def test_a_learned_prompt_that_leaves_no_room_is_refused(world: World, tmp_path: Path) -> None:
    """vLLM would not open at all, for nobody."""
    with pytest.raises(CheckpointError, match="do not fit before 256 of prompt and completion"):
        world.vllm.load([checkpoints.prefix(tmp_path / "run", world.model, tokens=300)])


def test_an_adapter_that_overflows_at_once_spoils_nobody(world: World, tmp_path: Path) -> None:
    """All its requests end in the step that shows it, and what they free is spoilt."""
    good = answers(world.vllm, "lora4")
    world.vllm.load([checkpoints.lora(tmp_path / "huge", world.model, scale=1e30)])
    served: dict[str, Completion] = {}
    with pytest.raises(CheckpointOverflow, match="run huge "):
        short = requests("huge", generation=Generation(max_tokens=1))[:1]
        for completion in world.vllm.complete([*short, *requests("lora4")]):
            served[completion.id] = completion
    assert served == good


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


def test_an_adapter_that_overflows_does_not_stop_its_neighbours(
    world: World, tmp_path: Path
) -> None:
    """They are in one batch and still running; they start again from a clean cache."""
    good = answers(world.vllm, "lora4", "base", "full1")
    world.vllm.load([checkpoints.lora(tmp_path / "huge", world.model, scale=1e30)])
    served: dict[str, Completion] = {}
    with pytest.raises(CheckpointOverflow, match="run huge "):
        short = requests("huge", generation=Generation(max_tokens=2))
        for completion in world.vllm.complete([*short, *requests("lora4", "base", "full1")]):
            served[completion.id] = completion
    assert {k: c for k, c in served.items() if not k.startswith("huge")} == good
    assert answers(world.vllm, "lora4", "base", "full1") == good


def test_weights_that_overflow_are_named_and_swapped_out(world: World, tmp_path: Path) -> None:
    good = answers(world.vllm, "lora4", "base", "full1")
    huge = checkpoints.full(tmp_path / "huge", world.model)
    checkpoints.change_tensor(
        huge.folder / "model.safetensors", "layers.0.mlp.up_proj", lambda tensor: tensor * 3e38
    )
    world.vllm.load([checkpoints.checkpoint(huge.folder, "weights")])
    with pytest.raises(CheckpointOverflow, match="run huge "):
        answers(world.vllm, "huge")
    assert answers(world.vllm, "lora4", "base", "full1") == good


def test_log_probabilities_of_an_overflow_spoil_nobody(world: World, tmp_path: Path) -> None:
    """They are the first that a run asks for, so the poison would reach everybody."""
    good = answers(world.vllm, "lora4", "base")
    world.vllm.load([checkpoints.lora(tmp_path / "huge", world.model, scale=1e30)])
    rows = world.vllm.logprobs("huge", PROMPTS)
    assert any(value != value for row in rows for value in row)
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


def test_stop_texts_end_both_engines_at_the_same_token(world: World) -> None:
    letters = Counter(letter for c in answers(world.vllm, "base").values() for letter in c.texts[0])
    common = [letter for letter, _ in letters.most_common(3) if letter != "\ufffd"]
    generation = Generation(max_tokens=16, stop=("nowhere", common[0] * 2, common[1]))
    wanted = requests("base", "lora5", generation=generation)
    fast = {c.id: c for c in world.vllm.complete(wanted)}
    assert fast == {c.id: c for c in world.reference.complete(wanted)}
    assert {len(c.tokens[0]) for c in fast.values() if c.finish_reasons == ("stop",)} - {16}


def test_greedy_samples_are_n_times_the_same(world: World) -> None:
    wanted = requests("base", "lora4", generation=Generation(max_tokens=4, n=3))
    fast = {c.id: c for c in world.vllm.complete(wanted)}
    assert fast == {c.id: c for c in world.reference.complete(wanted)}
    assert all(len(c.texts) == 3 and len(set(c.texts)) == 1 for c in fast.values())


def test_what_does_not_fit_is_refused_instead_of_cut(world: World) -> None:
    """vLLM generates fewer tokens than asked for, without a word."""
    for engine in (world.vllm, world.reference):
        for prompt in ((5,) * 250, ()):
            request = Request(id="it", checkpoint="base", prompt=prompt, generation=GREEDY)
            with pytest.raises(EngineError, match="at most 256 tokens"):
                list(engine.complete([request]))
        with pytest.raises(EngineError, match="same id"):
            list(engine.complete(requests("base") * 2))
        assert len(answers(engine, "base")) == len(PROMPTS)
    with pytest.raises(EngineError, match="at most 256 tokens"):
        world.vllm.logprobs("base", [(5,) * 256])


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

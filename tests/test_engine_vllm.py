"""vLLM, really run on this machine's processor, against the traps that it falls into silently."""

import importlib.util
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchbench.engines import Completion, Engine, EngineSettings, Request, open_engine
from benchbench.errors import CheckpointError, CheckpointOverflow, EngineError
from benchbench.record import Checkpoint
from benchbench.task import Generation
from tests import checkpoints
from tests.conftest import write_model, write_tokenizer

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
        huge.folder / "model.safetensors", "layers.0.mlp.up_proj", lambda tensor: tensor * 1e36
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


# From here on engines of their own are opened and closed, which stops the one above: vLLM's process
# groups are shared. So they are compared with the reference.


def test_of_a_folders_own_defaults_only_its_ends_count(world: World, tmp_path: Path) -> None:
    said = Counter(t for c in answers(world.reference, "base").values() for t in c.tokens[0])
    end = said.most_common(1)[0][0]
    model = shutil.copytree(world.model, tmp_path / "model")
    defaults = {"eos_token_id": [1, end], "repetition_penalty": 3.0, "do_sample": True, "top_k": 2}
    (model / "generation_config.json").write_text(json.dumps(defaults))
    settings = EngineSettings(model=model, precision="float32", max_tokens=256)
    found = []
    for name in ("vllm", "transformers"):
        engine = opened(name, settings, [checkpoints.base(model)])
        found.append(answers(engine, "base"))
        engine.close()
    assert found[0] == found[1]
    for name, completion in answers(world.reference, "base").items():
        whole = completion.tokens[0]
        cut = whole[: whole.index(end) + 1] if end in whole else whole
        assert found[0][name].tokens[0] == cut


def test_more_adapters_than_slots_are_served_in_turns(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchbench.engines.vllm.SLOTS", 2)
    ranks = {"a": 1, "b": 8, "c": 3, "d": 16, "e": 5}
    made = [
        checkpoints.lora(tmp_path / name, world.model, rank=rank, seed=rank)
        for name, rank in ranks.items()
    ]
    settings = EngineSettings(model=world.model, precision="float32", max_tokens=256)
    found = []
    for name in ("vllm", "transformers"):
        engine = opened(name, settings, made)
        found.append(answers(engine, *ranks))
        engine.close()
    assert found[0] == found[1]


def test_an_adapter_on_other_layers_than_the_engine_was_opened_for(
    world: World, tmp_path: Path
) -> None:
    settings = EngineSettings(model=world.model, precision="float32", max_tokens=256)
    engine = opened("vllm", settings, [checkpoints.base(world.model)])
    with pytest.raises(EngineError, match=r"opened for .* no layer"):
        engine.load([world.checkpoints["lora4"]])
    assert answers(engine, "base") == answers(world.reference, "base")
    engine.close()


def test_a_step_that_fails_closes_the_engine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM would wait for ever for the requests it has lost."""
    settings = EngineSettings(model=world.model, precision="float32", max_tokens=256)
    engine = opened("vllm", settings, [checkpoints.base(world.model)])

    def fail() -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(engine._vllm, "step", fail)  # type: ignore[attr-defined]
    with pytest.raises(EngineError, match="out of luck"):
        answers(engine, "base")
    with pytest.raises(EngineError, match="closed"):
        answers(engine, "base")


def test_vllm_leaves_standard_output_and_the_environment_alone(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = EngineSettings(model=world.model, precision="float32", max_tokens=256)
    engine = opened("vllm", settings, [world.checkpoints["full1"]])
    assert answers(engine, "full1") == answers(world.reference, "full1")
    engine.close()
    assert capfd.readouterr().out == ""
    assert "tcmalloc" not in os.environ.get("LD_PRELOAD", "")


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set")  # PEFT mends it, and says so
def test_what_vllm_does_not_serve_the_other_engine_does(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = tmp_path / "model"
    write_tokenizer(model)
    config = GPT2Config(vocab_size=320, n_embd=64, n_head=2, n_layer=1, n_positions=256)
    config.bos_token_id, config.eos_token_id = 0, 1
    GPT2LMHeadModel(config).save_pretrained(model)
    made = [checkpoints.lora(tmp_path / "adapter", model)]
    settings = EngineSettings(model=model, precision="float32", max_tokens=256)
    with pytest.raises(EngineError, match=r"GPT2LMHeadModel.*use --engine transformers"):
        opened("vllm", settings, made)
    engine = opened("transformers", settings, made)
    assert len(answers(engine, "adapter")) == len(PROMPTS)
    engine.close()


def test_a_run_whose_new_adapter_is_refused_is_not_answered_by_the_base_model(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = EngineSettings(model=world.model, precision="float32", max_tokens=256)
    adapter = checkpoints.lora(tmp_path / "run", world.model, seed=1)
    engine = opened("vllm", settings, [adapter])

    def refuse(*_: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(engine._vllm, "add_adapter", refuse)  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match="vLLM refuses"):
        engine.load([checkpoints.lora(tmp_path / "run", world.model, seed=2)])
    with pytest.raises(EngineError, match="run run is not loaded"):
        answers(engine, "run")
    engine.close()


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

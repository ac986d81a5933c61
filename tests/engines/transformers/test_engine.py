"""The reference engine: what it answers depends on the request alone."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench.contract.task import Generation
from benchbench.engines.choice import open_engine
from benchbench.engines.engine import Completion, Engine, EngineSettings, Request
from benchbench.engines.transformers.rows import Row
from benchbench.errors import CheckpointError, CheckpointOverflow
from benchbench.models.base import BaseModel
from benchbench.records.record import Checkpoint
from tests.toys import checkpoints

PROMPTS = [tuple([0, *((3 + 7 * i + 5 * j) % 317 for j in range(2 + 3 * i))]) for i in range(8)]
GREEDY = Generation(max_tokens=12)
SAMPLED = Generation(max_tokens=8, temperature=0.8, top_p=0.9, n=3)


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    folder = tmp_path_factory.mktemp("served")
    return [
        checkpoints.base(tiny_model),
        checkpoints.lora(folder / "lora1", tiny_model, seed=1),
        checkpoints.lora(folder / "lora2", tiny_model, seed=2, rank=5),
        checkpoints.full(folder / "full", tiny_model, seed=3),
    ]


@pytest.fixture(scope="module")
def engine(tiny_model: Path, made: list[Checkpoint]) -> Iterator[Engine]:
    settings = EngineSettings(
        model=BaseModel(tiny_model), precision="float32", max_tokens=128, batch_size=5
    )
    engine = open_engine("transformers", settings, made)
    engine.load(made)
    yield engine
    engine.close()


def requests(*names: str, generation: Generation = GREEDY) -> list[Request]:
    return [
        Request(id=f"{name}/{i}", checkpoint=name, prompt=prompt, generation=generation, seed=i)
        for i, prompt in enumerate(PROMPTS)
        for name in names
    ]


def answers(engine: Engine, wanted: list[Request]) -> dict[str, Completion]:
    return {completion.id: completion for completion in engine.complete(wanted)}


@pytest.mark.parametrize("generation", [GREEDY, SAMPLED])
def test_a_completion_does_not_depend_on_its_neighbours(
    generation: Generation, engine: Engine
) -> None:
    """Neither padding nor the random numbers of other rows may reach it."""
    wanted = requests("base", "lora1", generation=generation)
    together = answers(engine, wanted)
    assert together == answers(engine, wanted[::-1])
    alone: dict[str, Completion] = {}
    for request in wanted:
        alone |= answers(engine, [request])
    assert together == alone
    assert all(len(c.texts) == generation.n for c in together.values())


def test_greedy_completions_are_what_generate_gives(engine: Engine, tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    found = answers(engine, requests("base"))
    for number, prompt in enumerate(PROMPTS):
        ids = torch.tensor([prompt])
        row = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=GREEDY.max_tokens,
            do_sample=False,
        )
        assert found[f"base/{number}"].tokens[0] == tuple(row[0, len(prompt) :].tolist())


def test_checkpoints_take_turns_and_leave_nothing_behind(engine: Engine) -> None:
    first = {n: answers(engine, requests(n)) for n in ("base", "lora1", "lora2", "full")}
    said = {n: [c.tokens for _, c in sorted(found.items())] for n, found in first.items()}
    assert len({str(tokens) for tokens in said.values()}) == 4
    for name in ("full", "lora2", "base", "full", "lora1", "base"):
        assert answers(engine, requests(name)) == first[name]


def test_other_seeds_give_other_samples(engine: Engine) -> None:
    wanted = requests("base", generation=SAMPLED)
    other = [replace(request, seed=request.seed + 100) for request in wanted]
    assert answers(engine, wanted) != answers(engine, other)
    assert any(len(set(c.tokens)) > 1 for c in answers(engine, wanted).values())


def test_samples_are_drawn_as_often_as_their_probability() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    generation = Generation(max_tokens=1, temperature=2.0)
    request = Request(id="", checkpoint="", prompt=(0,), generation=generation)
    drawn = Counter(
        int(Row(replace(request, seed=seed), 0).choose(logits).argmax()) for seed in range(4000)
    )
    expected = (logits / 2).softmax(-1)
    assert [drawn[i] / 4000 for i in range(4)] == pytest.approx(expected.tolist(), abs=0.03)


def test_top_p_keeps_the_likeliest_tokens_only() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    generation = Generation(max_tokens=1, temperature=1.0, top_p=0.7)
    request = Request(id="", checkpoint="", prompt=(0,), generation=generation)
    rows = (Row(replace(request, seed=seed), 0) for seed in range(300))
    assert {int(row.choose(logits).argmax()) for row in rows} == {0, 1}


def test_an_overflow_is_named_after_everybody_else_was_served(
    engine: Engine, tiny_model: Path, tmp_path: Path
) -> None:
    good = answers(engine, requests("base", "lora1"))
    engine.load([checkpoints.lora(tmp_path / "huge", tiny_model, scale=1e30)])
    served: dict[str, Completion] = {}
    with pytest.raises(CheckpointOverflow, match=r"run huge .* not numbers"):
        for completion in engine.complete(requests("huge", "base", "lora1")):
            served[completion.id] = completion
    assert served == good


def test_a_stop_text_ends_a_completion_and_is_left_out(engine: Engine) -> None:
    plain = answers(engine, requests("base"))
    name, text = next((k, c.texts[0]) for k, c in plain.items() if len(c.texts[0].strip()) > 4)
    stop = text.strip()[2:4]
    generation = replace(GREEDY, stop=("nowhere", stop))
    found = answers(engine, requests("base", generation=generation))[name]
    assert (found.texts, found.finish_reasons) == ((text[: text.index(stop)],), ("stop",))
    assert len(found.tokens[0]) <= len(plain[name].tokens[0])


def test_the_folders_own_generation_config_changes_nothing(
    engine: Engine, tiny_model: Path, tmp_path: Path
) -> None:
    """transformers fills whatever a request leaves open from it; vLLM is told not to."""
    model = shutil.copytree(tiny_model, tmp_path / "model")
    extra = {"repetition_penalty": 5.0, "do_sample": True, "temperature": 3.0, "min_length": 9}
    (model / "generation_config.json").write_text(json.dumps(extra))
    settings = EngineSettings(model=BaseModel(model), precision="float32", max_tokens=128)
    other = open_engine("transformers", settings, [])
    other.load([checkpoints.base(model)])
    assert answers(other, requests("base")) == answers(engine, requests("base"))
    other.close()


def test_a_route_it_does_not_know_is_refused(engine: Engine, made: list[Checkpoint]) -> None:
    with pytest.raises(CheckpointError, match="route 'telepathy'"):
        engine.load([replace(made[1], route="telepathy")])


def test_a_learned_prompt_that_leaves_no_room_is_refused(
    engine: Engine, tiny_model: Path, tmp_path: Path
) -> None:
    long = checkpoints.soft_prompt(tmp_path / "run", tiny_model, tokens=500)
    with pytest.raises(CheckpointError, match="learned 500 tokens, which do not fit"):
        engine.load([long])


def test_a_checkpoint_that_cannot_be_read_leaves_nothing_behind(
    engine: Engine, tiny_model: Path, tmp_path: Path
) -> None:
    """PEFT puts its layers into the model before it reads their weights."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    config = peft.FourierFTConfig(
        n_frequency=50, target_modules=["q_proj"], init_weights=False, task_type="CAUSAL_LM"
    )
    folder = tmp_path / "run"
    peft.get_peft_model(network, config).save_pretrained(str(folder))
    (folder / "README.md").unlink()
    checkpoints.change_tensor(folder / "adapter_model.safetensors", "", lambda t: t[:20])
    good = answers(engine, requests("base"))
    engine.load([checkpoints.checkpoint(folder, "transformers")])
    with pytest.raises(CheckpointError, match="run run cannot be served"):
        answers(engine, requests("run"))
    assert answers(engine, requests("base")) == good


def test_no_requests_are_no_work(engine: Engine) -> None:
    assert list(engine.complete([])) == []

"""Choices ranked by likelihood, in both engines and for every route."""

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchbench.contract.task import Generation
from benchbench.engines.engine import Request
from benchbench.engines.vllm.engine import BLOCK
from benchbench.errors import CheckpointOverflow, EngineError
from tests.toys import checkpoints
from tests.toys.served import GREEDY, World, opened, settings_of

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

ONE = Generation(max_tokens=1)
LETTERS = ((65,), (66,), (67,), (68,))
# Around the end of a block of vLLM's cache, where its prefix cache reaches into the choice.
LENGTHS = (5, BLOCK - 1, BLOCK, BLOCK + 1, 150)
TEXTS = ((7, 8, 9), (7,), tuple(range(30, 50)), (7, 8, 9, 10))


@pytest.fixture(scope="module")
def world(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("ranked")
    made = [
        checkpoints.base(tiny_model),
        checkpoints.lora(folder / "lora", tiny_model, seed=1),
        checkpoints.full(folder / "full", tiny_model, seed=3),
        checkpoints.soft_prompt(folder / "soft", tiny_model, seed=5),
        checkpoints.prefix(folder / "prefix", tiny_model, seed=7),
        checkpoints.added(folder / "added", tiny_model, checkpoints.bottlenecks, seed=9),
    ]
    settings = settings_of(tiny_model)
    vllm = opened("vllm", settings, made)
    reference = opened("transformers", settings, made)
    yield World(tiny_model, {c.run_id: c for c in made}, vllm, reference)
    vllm.close()
    reference.close()


def prompt(length: int) -> tuple[int, ...]:
    return (0, *((3 + 7 * i + 5 * length) % 317 for i in range(length - 1)))


def ranked(name: str, choices: tuple[tuple[int, ...], ...]) -> list[Request]:
    return [
        Request(
            id=f"{name}/{length}/{len(choices[0])}",
            checkpoint=name,
            prompt=prompt(length),
            generation=ONE,
            choices=choices,
        )
        for length in LENGTHS
    ]


def everything(world: World) -> list[Request]:
    """All kinds of requests for all checkpoints: what must not be mixed is sent at once."""
    generated = [
        Request(id=f"{name}/g", checkpoint=name, prompt=prompt(9), generation=GREEDY)
        for name in world.checkpoints
    ]
    return generated + [
        request
        for name in world.checkpoints
        for choices in (LETTERS, TEXTS)
        for request in ranked(name, choices)
    ]


def test_both_engines_rank_alike(world: World) -> None:
    fast = {c.id: c for c in world.vllm.complete(everything(world))}
    slow = {c.id: c for c in world.reference.complete(everything(world))}
    assert fast.keys() == slow.keys()
    for key, completion in slow.items():
        assert fast[key].tokens == completion.tokens
        assert fast[key].choices == pytest.approx(completion.choices, abs=1e-4)
    distinct = {round(slow[f"{name}/5/3"].choices[0], 4) for name in world.checkpoints}
    assert len(distinct) == len(world.checkpoints)  # each checkpoint has its own


def test_a_choice_has_the_log_probability_of_its_tokens(world: World) -> None:
    for name in ("base", "lora", "soft"):
        for completion in world.vllm.complete(ranked(name, TEXTS)):
            length = int(completion.id.split("/")[1])
            whole = [(*prompt(length), *text) for text in TEXTS]
            rows = world.reference.logprobs(name, whole)
            wanted = [math.fsum(row[-len(text) :]) for row, text in zip(rows, TEXTS, strict=True)]
            assert completion.choices == pytest.approx(wanted, abs=1e-4)


def test_ranking_again_gives_the_same(world: World) -> None:
    """The second time the prompts, and the choices' beginnings, are in vLLM's prefix cache."""
    found = [
        {c.id: c.choices for c in world.vllm.complete(ranked("base", TEXTS))} for _ in range(2)
    ]
    for key, choices in found[0].items():
        assert found[1][key] == pytest.approx(choices, abs=1e-5)


def test_a_choice_without_tokens_is_refused(world: World) -> None:
    for engine in (world.vllm, world.reference):
        with pytest.raises(EngineError, match="ranks a choice of no token"):
            list(engine.complete(ranked("base", ((5,), ()))))


@pytest.mark.parametrize("choices", [LETTERS, TEXTS])
def test_an_overflow_is_no_ranking_and_spoils_nobody(
    choices: tuple[tuple[int, ...], ...], world: World, tmp_path: Path
) -> None:
    good = {c.id: c.choices for c in world.vllm.complete(ranked("lora", choices))}
    huge = checkpoints.lora(tmp_path / "huge", world.model, scale=1e30)
    for engine in (world.vllm, world.reference):
        engine.load([huge])
        found = {}
        with pytest.raises(CheckpointOverflow, match="run huge "):
            for completion in engine.complete([*ranked("huge", choices), *ranked("lora", choices)]):
                found[completion.id] = completion.choices
        assert found.keys() == good.keys()
        for key, each in good.items():
            assert found[key] == pytest.approx(each, abs=1e-4)

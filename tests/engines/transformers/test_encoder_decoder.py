"""The reference engine with a T5: every route serves what its files say, and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchbench.checkpoints.learned import check_length
from benchbench.contract.model import Model
from benchbench.contract.task import Generation
from benchbench.engines.choice import choose_engine, open_engine
from benchbench.engines.engine import Completion, Engine, EngineSettings, Request
from benchbench.errors import BadParameter, CheckpointError
from benchbench.models import logprobs
from benchbench.models.architecture import Architecture
from benchbench.models.base import BaseModel
from benchbench.models.find import find_model
from benchbench.models.prompt import room
from benchbench.records.record import Checkpoint
from tests.toys import checkpoints

PROMPTS = [tuple([*((3 + 7 * i + 5 * j) % 317 for j in range(2 + 3 * i)), 1]) for i in range(6)]
GREEDY = Generation(max_tokens=10)
ROUTES = ("base", "lora", "full", "soft_prompt", "prefix", "modules", "peft")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", params=["tiny_t5", "untied_t5"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    at = tmp_path_factory.mktemp("served")
    lora = checkpoints.lora(at / "lora", folder, seed=1)
    return {
        "base": checkpoints.base(folder),
        "lora": lora,
        "full": checkpoints.full(at / "full", folder, seed=3),
        "soft_prompt": checkpoints.soft_prompt(at / "soft_prompt", folder),
        "prefix": checkpoints.prefix(at / "prefix", folder),
        "modules": checkpoints.added(at / "modules", folder, checkpoints.biases),
        "peft": replace(
            checkpoints.lora(at / "peft", folder, seed=2), route="transformers", run_id="peft"
        ),
    }


@pytest.fixture(scope="module")
def engine(folder: Path, made: dict[str, Checkpoint]) -> Iterator[Engine]:
    settings = EngineSettings(
        model=BaseModel(folder), precision="float32", max_tokens=128, batch_size=4
    )
    opened = open_engine("transformers", settings, list(made.values()))
    opened.load(list(made.values()))
    yield opened
    opened.close()


def answers(engine: Engine, *names: str) -> dict[str, Completion]:
    wanted = [
        Request(id=f"{name}/{i}", checkpoint=name, prompt=prompt, generation=GREEDY)
        for name in names
        for i, prompt in enumerate(PROMPTS)
    ]
    return {completion.id: completion for completion in engine.complete(wanted)}


def test_checkpoints_take_turns_and_leave_nothing_behind(engine: Engine) -> None:
    together = answers(engine, *ROUTES)
    said = {name: str([together[f"{name}/{i}"].tokens for i in range(6)]) for name in ROUTES}
    assert len(set(said.values())) == len(ROUTES)
    for name in ("prefix", "full", "base", "modules", "lora", "base", "soft_prompt", "peft"):
        own = {key: value for key, value in together.items() if key.startswith(f"{name}/")}
        assert answers(engine, name) == own


def test_full_weights_are_served_to_the_last_bit(
    engine: Engine, made: dict[str, Checkpoint]
) -> None:
    """A head of its own is not tied to the embeddings again, nor the other way round."""
    prompts = [list(prompt) for prompt in PROMPTS]
    own = logprobs.token_logprobs(
        BaseModel(made["full"].folder).load(torch.float32).eval(), prompts
    )
    assert engine.logprobs("full", prompts) == own
    assert engine.logprobs("base", prompts) != own


def test_logprobs_are_those_of_the_second_half(engine: Engine) -> None:
    prompts = [list(prompt) for prompt in PROMPTS]
    assert [len(row) for row in engine.logprobs("lora", prompts)] == [len(p) // 2 for p in prompts]


def test_weights_of_another_t5_are_refused(
    engine: Engine, made: dict[str, Checkpoint], folder: Path, request: pytest.FixtureRequest
) -> None:
    """One with a head of its own is not served as one without, nor the other way round."""
    other = "untied_t5" if folder.name == "tiny-t5" else "tiny_t5"
    at = request.getfixturevalue("tmp_path")
    strange = checkpoints.full(at / "strange", request.getfixturevalue(other))
    with pytest.raises(CheckpointError):
        engine.load([strange])


def test_what_is_learned_leaves_room_for_prompt_and_answer_each(
    tiny_t5: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Neither takes room from the other, as they do where one model reads and writes."""
    base = replace(BaseModel(tiny_t5).architecture, context=512)

    def check(base: Architecture, tokens: int) -> None:
        saved = checkpoints.soft_prompt(tmp_path / f"{tokens}", tiny_t5, tokens=tokens)
        check_length(saved, tokens, 2 * room(512), base)

    check(base, 32)
    check(replace(base, context=None), 512)
    with pytest.raises(CheckpointError, match=r"learned 33 tokens.*before 480 of"):
        check(base, 33)
    with pytest.raises(CheckpointError, match=r"learned 32 tokens.*before 960 of"):
        check(replace(base, encoder_decoder=False), 32)


def test_a_model_with_an_encoder_is_served_by_transformers(tiny_t5: Path) -> None:
    found = find_model("my-t5", {"my-t5": Model(name="my-t5", path=str(tiny_t5))})
    assert choose_engine("auto", found) == (
        "transformers",
        "because the model is an encoder-decoder",
    )
    assert choose_engine("transformers", found) == ("transformers", "as asked for")
    with pytest.raises(BadParameter, match=r"^'my-t5' is .* which vllm does not serve; "):
        choose_engine("vllm", found)

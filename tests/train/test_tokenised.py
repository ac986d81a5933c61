"""Training samples are tokenised once, and anew where anything they depend on changed."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchbench import MethodSpec
from benchbench.errors import BadParameter
from benchbench.models.base import BaseModel
from benchbench.models.prompt import Example, Renderer
from benchbench.records.record import PluginOrigin
from benchbench.run.march import run
from benchbench.run.request import RunRequest
from benchbench.train.examples import EXAMPLES, KEPT, fill_answer, read_examples
from tests import toys
from tests.toys.world import Says, World, request_, world

__all__ = ["request_", "world"]


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the samples that were tokenised."""
    found: list[str] = []
    example = Renderer.example

    def counted(self: Renderer, task: object, sample: object, protocol: object) -> object:
        found.append(sample.id)  # type: ignore[attr-defined]
        return example(self, task, sample, protocol)  # type: ignore[arg-type]

    monkeypatch.setattr(Renderer, "example", counted)
    return found


def test_other_seeds_and_methods_read_what_was_tokenised(
    world: World, request_: RunRequest, tiny_model: Path, rendered: list[str]
) -> None:
    world.march(request_, tiny_model)
    samples = len(rendered)
    assert samples
    more = replace(request_.grid, seeds=(1, 2, 3), train={"epochs": 2.0})
    world.march(replace(request_, grid=more), tiny_model)
    assert len(rendered) == samples
    (file,) = (request_.store.folder / EXAMPLES).iterdir()
    assert len(read_examples(file)) == samples


@pytest.mark.parametrize("changed", ["plugin", "profile", "protocol"])
def test_what_the_tokens_depend_on_makes_them_anew(
    changed: str, world: World, request_: RunRequest, tiny_model: Path, rendered: list[str]
) -> None:
    world.march(request_, tiny_model)
    samples = len(rendered)
    registry, grid = toys.registry(tiny_model), replace(request_.grid, seeds=(9,))
    if changed == "plugin":
        newer = PluginOrigin(plugin="toys", distribution="file", version="another content")
        registry = replace(registry, origins={**registry.origins, ("task", "echo"): newer})
    if changed == "profile":
        grid = replace(grid, train={"profile": "author-compat"})
    if changed == "protocol":
        grid = replace(grid, train_on="echo@loud")
    run(replace(request_, grid=grid), registry, world, Says())
    assert len(rendered) == 2 * samples
    assert len(list((request_.store.folder / EXAMPLES).iterdir())) == 2


def test_only_the_last_files_stay(
    world: World, request_: RunRequest, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = request_.store.folder / EXAMPLES
    folder.mkdir(parents=True)
    for number in range(KEPT + 2):
        (folder / f"{number}.safetensors").touch()
    world.march(request_, tiny_model)
    assert len(list(folder.iterdir())) == KEPT


def test_the_author_s_answers_are_filled_with_padding_that_is_learned(
    world: World, request_: RunRequest, tiny_model: Path
) -> None:
    grid = replace(request_.grid, train={"profile": "author-compat"})
    world.march(replace(request_, grid=grid), tiny_model)
    (file,) = (request_.store.folder / EXAMPLES).iterdir()
    padding = Renderer.of(BaseModel(tiny_model)).tokenizer.pad_token_id or 0
    longest = toys.Echo.protocols["say"].generation.max_tokens
    examples = list(read_examples(file))
    assert {len(example.completion) for example in examples} == {longest}
    plain = replace(request_.grid, methods=(MethodSpec(name="part"),), train={"epochs": 1.0})
    world.march(replace(request_, grid=plain), tiny_model)
    other = next(path for path in (request_.store.folder / EXAMPLES).iterdir() if path != file)
    for filled, example in zip(examples, read_examples(other), strict=True):
        assert filled.completion[: len(example.completion)] == example.completion
        assert set(filled.completion[len(example.completion) :]) <= {padding}
        assert filled.prompt == example.prompt


def test_more_devices_than_a_batch_or_the_machine_has_are_refused(
    world: World, request_: RunRequest, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadParameter, match="devices is 17, but a batch has 16 samples to share"):
        world.march(replace(request_, devices=17), tiny_model)
    monkeypatch.setattr("benchbench.machine.device_count", lambda: 2)
    with pytest.raises(BadParameter, match="devices is 3, but this machine shows 2"):
        world.march(replace(request_, devices=3), tiny_model)
    assert not world.trained


def test_nothing_is_filled_where_nothing_is_learned_and_prompts_apart_take_no_room() -> None:
    protocol = toys.Echo.protocols["say"]
    longest = protocol.generation.max_tokens
    tokenizer = SimpleNamespace(pad_token_id=7)
    together = Renderer(tokenizer, context=20)
    apart = Renderer(tokenizer, context=20, apart=True)
    cut = Example(prompt=(5,) * 20, completion=())
    assert fill_answer(cut, together, protocol) == cut
    long = Example(prompt=(5,) * 18, completion=(6,))
    assert fill_answer(long, together, protocol).completion == (6, 7)
    assert fill_answer(long, apart, protocol).completion == (6, *[7] * (longest - 1))
    short = replace(protocol, max_example_tokens=19)
    assert fill_answer(long, together, short) == long

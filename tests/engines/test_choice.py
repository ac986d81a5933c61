"""Engines and routes are entries of two tables: a new one of each, and who serves what then."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench.checkpoints.format import Format
from benchbench.checkpoints.parity import Reference
from benchbench.checkpoints.routes import FORMATS
from benchbench.engines import choice
from benchbench.engines.choice import ENGINES, TRANSFORMERS, choose_engine, engine_for, open_engine
from benchbench.engines.engine import EngineSettings
from benchbench.errors import BadParameter, MissingExtra
from benchbench.evaluate.jobs import Job, render, result_spec
from benchbench.evaluate.serving import serve
from benchbench.models.base import BaseModel
from benchbench.models.find import find_model
from benchbench.models.logprobs import token_logprobs
from benchbench.models.prompt import Renderer
from benchbench.plan.samples import read_split
from benchbench.records.record import Artefact, Checkpoint
from benchbench.records.store import Store, hash_folder
from benchbench.specs import TaskSpec
from tests.toys import ENGINE, ToyEngine, ToyKind, checkpoints, registry, run_record
from tests.toys.world import Says

PROMPTS = [[5, 9, 30, 44, 7, 61], [61, 61, 12, 90, 250, 3, 8]]


@dataclass(frozen=True)
class Louder(Format):
    """What a model computes before its head, times a power of two."""

    power: int

    @classmethod
    def read(cls, folder: Path, base: BaseModel) -> "Louder":
        return cls(json.loads((folder / "louder.json").read_bytes()))

    def put_on(self, model: Any) -> Any:
        model.model.norm.weight.data.mul_(2**self.power)
        return model

    def take_off(self, model: Any) -> Any:
        model.model.norm.weight.data.div_(2**self.power)
        return model


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[ToyEngine]:
    """An engine and a route more; return what is opened of the engine."""
    found: list[ToyEngine] = []

    def opens(settings: EngineSettings, made: Sequence[Checkpoint]) -> ToyEngine:
        logs = {
            each.run_id: token_logprobs(settings.model.load(torch.float32), PROMPTS)
            for each in made
        }
        found.append(ToyEngine(lambda request: "no", log=logs))
        return found[-1]

    toy = ToyKind(
        name="toy",
        distributions=(),
        extra="",
        routes=frozenset({"base", "lora"}),
        place="",
        opens=opens,
    )
    monkeypatch.setattr(choice, "ENGINES", (toy, *ENGINES))
    monkeypatch.setitem(FORMATS, "louder", Louder)
    return found


def test_a_new_engine_and_a_new_route_are_served_through(
    opened: list[ToyEngine], tiny_model: Path, tmp_path: Path
) -> None:
    model, store = find_model(str(tiny_model), {}), Store(tmp_path / "runs")
    assert choose_engine("auto", model) == ("toy", "the fastest that is installed")
    network = model.load(torch.float32).eval()
    base = token_logprobs(network, PROMPTS)
    louder = token_logprobs(Louder(2).put_on(network), PROMPTS)
    split = read_split(registry(), registry().resolve_task(TaskSpec(name="echo")), None)
    renderer = Renderer.of(model)

    def job(method: str, route: str, trained: list[list[float]]) -> Job:
        run = run_record(method)
        folder = store.run_folder(run.run_id) / "checkpoint"
        folder.mkdir(parents=True)
        (folder / "louder.json").write_text("2")
        artefact = Artefact(route=route, sha256=hash_folder(folder), bytes=1)
        run = replace(run, artefact=artefact)
        Reference(prompts=PROMPTS, base=base, trained=trained).write(folder.parent / "parity.json")
        return Job(
            run=run,
            model=model,
            checkpoint=Checkpoint(
                run_id=run.run_id, route=route, sha256=artefact.sha256, folder=folder
            ),
            split=split,
            prompts=render(split, renderer),
            renderer=renderer,
            spec=result_spec(split, ENGINE, run),
        )

    found = [
        result
        for each in (job("untuned", "base", base), job("part", "louder", louder))
        for result in serve([each], store, Says()).results
    ]
    assert [result.spec.engine.name for result in found] == ["toy", "transformers"]
    assert all(result.parity and result.parity.passed for result in found)
    assert found[1].parity and (found[1].parity.effect or 0) > 0.1
    assert all(result.n_missing == 0 for result in found)
    (toy,) = opened
    assert len(toy.requests) == len(split.samples)


def test_a_route_that_is_put_on_is_taken_off_again(
    opened: list[ToyEngine], tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "louder.json").write_text("2")
    made = [checkpoints.base(tiny_model), checkpoints.checkpoint(tmp_path / "run", "louder")]
    settings = EngineSettings(model=BaseModel(tiny_model), precision="float32", max_tokens=64)
    engine = open_engine("transformers", settings, made)
    engine.load(made)
    first = engine.logprobs("base", PROMPTS)
    assert engine.logprobs("run", PROMPTS) != first
    assert engine.logprobs("base", PROMPTS) == first
    engine.close()


def test_what_an_engine_does_not_serve_goes_to_the_one_that_serves_all() -> None:
    vllm = replace(ENGINE, name="vllm")
    for route in FORMATS:
        wanted = "transformers" if route == "transformers" else "vllm"
        assert engine_for(route, vllm).name == wanted
        assert engine_for(route, ENGINE) is ENGINE  # of a table that is not this one
    assert engine_for("telepathy", vllm).name == "transformers"


def test_an_engine_is_chosen_from_the_table(
    tiny_model: Path, tiny_t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, t5 = (find_model(str(folder), {}) for folder in (tiny_model, tiny_t5))

    def has(*installed: str) -> None:
        kinds = [replace(kind) for kind in ENGINES]
        monkeypatch.setattr(choice, "ENGINES", tuple(kinds))
        monkeypatch.setattr(
            choice.EngineKind, "is_installed", property(lambda kind: kind.name in installed)
        )

    has("vllm", "transformers")
    assert choose_engine("auto", model) == ("vllm", "the fastest that is installed")
    assert choose_engine("auto", t5) == ("transformers", "because the model is an encoder-decoder")
    with pytest.raises(BadParameter, match="no engine named 'fast'; it is one of vllm, transf"):
        choose_engine("fast", model)
    has("transformers")
    assert choose_engine("auto", model) == ("transformers", "because vllm is not installed")
    with pytest.raises(MissingExtra, match=r"vllm is not installed; .*\[vllm\]"):
        choose_engine("vllm", model)
    has()
    with pytest.raises(MissingExtra, match=r"transformers is not installed; .*\[train\]"):
        choose_engine("auto", model)


def test_the_reference_engine_says_what_it_computes_with() -> None:
    from importlib.metadata import version

    found = TRANSFORMERS.spec("float32").version
    assert found == f"{version('transformers')} (torch {version('torch')}, peft {version('peft')})"


def count_reads(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """Count which files our own code opens; PEFT and vLLM have loaders of their own."""
    import safetensors

    counted: Counter[Path] = Counter()
    own = safetensors.safe_open

    def opens(path: Any, *arguments: Any, **options: Any) -> Any:
        counted[Path(path)] += 1
        return own(path, *arguments, **options)

    monkeypatch.setattr(safetensors, "safe_open", opens)
    return counted


def all_routes(model: Path, folder: Path) -> list[Checkpoint]:
    return [
        checkpoints.lora(folder / "lora", model),
        checkpoints.soft_prompt(folder / "soft", model),
        checkpoints.prefix(folder / "prefix", model),
        checkpoints.added(folder / "modules", model, checkpoints.bottlenecks),
        checkpoints.full(folder / "full", model),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "transformers",
        pytest.param(
            "vllm",
            marks=[
                pytest.mark.vllm,
                pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed"),
            ],
        ),
    ],
)
def test_an_artefact_is_read_once_before_it_is_served(
    name: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = count_reads(monkeypatch)
    made = all_routes(tiny_model, tmp_path)
    reads.clear()
    settings = EngineSettings(model=BaseModel(tiny_model), precision="float32", max_tokens=64)
    engine = open_engine(name, settings, made)
    engine.load(made)
    engine.close()
    wanted = dict.fromkeys(tmp_path.rglob("*.safetensors"), 1)
    if name == "vllm":  # which then reads adapters itself, with the same loader
        wanted[made[0].folder / "adapter_model.safetensors"] += 1
    assert {path: n for path, n in reads.items() if tmp_path in path.parents} == wanted

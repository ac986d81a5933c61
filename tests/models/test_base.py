"""A base model is one object: what its folder says is read once, whoever asks."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench.checkpoints.parity import tokenize
from benchbench.engines.choice import choose_engine, open_engine
from benchbench.engines.engine import EngineSettings
from benchbench.errors import ModelError
from benchbench.evaluate.jobs import Job, render
from benchbench.evaluate.results import evaluate
from benchbench.models.base import BaseModel
from benchbench.models.find import find_model
from benchbench.models.prompt import Renderer
from benchbench.plan.samples import read_split
from benchbench.records.record import ResultSpec
from benchbench.records.store import Store
from benchbench.specs import TaskSpec
from tests.toys import ENGINE, PARITY, checkpoints, registry, run_record
from tests.toys.world import Says


def once(folder: Path) -> Counter[tuple[str, str]]:
    return Counter({("AutoConfig", str(folder)): 1, ("AutoTokenizer", str(folder)): 1})


def counting(loader: Any, counted: Counter[tuple[str, str]]) -> Any:
    own = loader.from_pretrained

    def read(folder: Any, *arguments: Any, **options: Any) -> Any:
        counted[loader.__name__, str(folder)] += 1
        return own(folder, *arguments, **options)

    return read


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """Count what transformers reads, by loader and folder."""
    import transformers

    counted: Counter[tuple[str, str]] = Counter()
    for loader in (transformers.AutoConfig, transformers.AutoTokenizer):
        monkeypatch.setattr(loader, "from_pretrained", counting(loader, counted))
    return counted


def test_an_evaluation_reads_configuration_and_tokenizer_once(
    tiny_model: Path, tmp_path: Path, reads: Counter[tuple[str, str]]
) -> None:
    run = run_record()
    made = checkpoints.lora(tmp_path / run.run_id, tiny_model)
    reads.clear()  # the toy checkpoint was made from the same folder
    model = find_model(str(tiny_model), {})
    name, _ = choose_engine("transformers", model)
    renderer = Renderer.of(model)
    split = read_split(registry(), registry().resolve_task(TaskSpec(name="echo")), None)
    job = Job(
        run=run,
        model=model,
        checkpoint=made,
        split=split,
        prompts=render(split, renderer),
        renderer=renderer,
        spec=ResultSpec(task=split.spec, data=split.data, engine=ENGINE, checkpoint=made.sha256),
    )
    settings = EngineSettings(model=model, precision="float32", max_tokens=job.longest)
    for store in (Store(tmp_path / "first"), Store(tmp_path / "second")):
        engine = open_engine(name, settings, [made])
        engine.load([made])
        engine.logprobs(run.run_id, [row[:8] for row in tokenize(model.tokenizer)])
        list(evaluate(engine, [job], {run.run_id: PARITY}, store, Says()))
        engine.close()
    assert reads == once(tiny_model)


def test_the_first_who_asks_reads_it(tiny_model: Path, reads: Counter[tuple[str, str]]) -> None:
    model = BaseModel(tiny_model)
    assert not reads
    for _ in range(2):
        assert model.tokenizer and model.config and model.architecture
    assert reads == once(tiny_model)


def test_a_model_that_is_changed_changes_no_other(tiny_model: Path) -> None:
    """Trainer and methods write into a model's configuration."""
    model = BaseModel(tiny_model)
    model.load(torch.float32).config.use_cache = False
    assert model.config.use_cache and model.load(torch.float32).config.use_cache


def test_a_folder_that_is_no_model_is_one_sentence(tmp_path: Path) -> None:
    for read in ("config", "tokenizer", "architecture", "encoder_decoder"):
        with pytest.raises(ModelError, match=r"has no config\.json"):
            getattr(BaseModel(tmp_path), read)

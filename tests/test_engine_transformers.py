"""The reference engine, where it could differ from vLLM without anybody noticing."""

import json
import shutil
from pathlib import Path

from benchbench.engines import EngineSettings, Request
from benchbench.engines.transformers import TransformersEngine
from benchbench.task import Generation
from tests import checkpoints

GREEDY = Generation(max_tokens=12)
PROMPTS = [tuple([0, *((3 + 11 * i + 5 * j) % 317 for j in range(3 + i))]) for i in range(8)]


def tokens(model: Path, batch_size: int = 64, *, only: int | None = None) -> list[object]:
    settings = EngineSettings(
        model=model, precision="float32", max_tokens=256, batch_size=batch_size
    )
    engine = TransformersEngine(settings)
    engine.load([checkpoints.base(model)])
    wanted = [
        Request(id=str(i), checkpoint="base", prompt=prompt, generation=GREEDY)
        for i, prompt in enumerate(PROMPTS)
        if only in (None, i)
    ]
    found = {c.id: c.tokens for c in engine.complete(wanted)}
    engine.close()
    return [found[request.id] for request in wanted]


def test_padding_changes_nothing(tiny_model: Path) -> None:
    assert tokens(tiny_model, 8) == tokens(tiny_model, 1) == tokens(tiny_model, 3)
    assert tokens(tiny_model, only=2) == [tokens(tiny_model)[2]]


def test_the_folders_own_generation_config_changes_nothing(
    tiny_model: Path, tmp_path: Path
) -> None:
    """transformers fills whatever a request leaves open from it; vLLM is told not to."""
    model = shutil.copytree(tiny_model, tmp_path / "model")
    path = model / "generation_config.json"
    config = json.loads(path.read_text()) if path.exists() else {}
    extra = {"repetition_penalty": 5.0, "do_sample": True, "temperature": 3.0, "min_length": 9}
    path.write_text(json.dumps(config | extra))
    assert tokens(model) == tokens(tiny_model)

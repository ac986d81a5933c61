"""What tests of engines ask, and of whom."""

from dataclasses import dataclass
from pathlib import Path

from benchbench.contract.task import Generation
from benchbench.engines.choice import open_engine
from benchbench.engines.engine import Completion, Engine, EngineSettings, Request
from benchbench.models.base import BaseModel
from benchbench.records.record import Checkpoint

GREEDY = Generation(max_tokens=16)
PROMPTS = [tuple([0, *((3 + 7 * i + 5 * j) % 317 for j in range(4 + i % 9))]) for i in range(16)]


@dataclass(frozen=True)
class World:
    """A base model, its checkpoints, and both engines serving them."""

    model: Path
    checkpoints: dict[str, Checkpoint]
    vllm: Engine
    reference: Engine


def settings_of(model: Path) -> EngineSettings:
    return EngineSettings(model=BaseModel(model), precision="float32", max_tokens=256)


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

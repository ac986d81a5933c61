"""Jobs that train the stock and the toy methods on the tests' tiny model."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchbench import MethodSpec, ModelSpec, RunSpec, TaskSpec, TrainSpec
from benchbench.models.prompt import Example
from benchbench.records.record import RunRecord
from benchbench.registry.registry import Registry
from benchbench.specs import DataSpec
from benchbench.train import process
from benchbench.train.examples import write_examples
from benchbench.train.job import TrainJob
from tests.toys import ORIGIN

TRAIN = TrainSpec(
    task=TaskSpec(name="count", protocol="plain"),
    data=DataSpec(source="sample", digest="0"),
    epochs=2.0,
    batch_size=4,
)

LORA = {"learning_rate": 0.01}
FULL = {"learning_rate": 0.003}


def some_examples(n: int = 32) -> list[Example]:
    """Prompts of different lengths that name a token, which is to be said twice."""
    random = Random(0)
    examples = []
    for _ in range(n):
        token = random.randrange(3, 40)
        noise = [random.randrange(40, 300) for _ in range(random.randrange(3, 30))]
        examples.append(Example(prompt=(0, *noise, token), completion=(token, token, 1)))
    return examples


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examples") / "examples.safetensors"
    write_examples(path, some_examples())
    return path


NewJob = Callable[..., TrainJob]


@pytest.fixture
def new_job(tiny_model: Path, examples: Path, tmp_path: Path) -> NewJob:
    """Make a job for a method; ``seed``, ``folder`` and fields of TrainSpec can be changed."""

    def make(
        name: str, params: dict[str, Any] | None = None, seed: int = 42, **changes: Any
    ) -> TrainJob:
        folder = tmp_path / changes.pop("folder", "run")
        model = changes.pop("model", tiny_model)
        precision = changes.pop("precision", "float32")
        train = None if name == "base" else replace(TRAIN, **changes)
        spec = RunSpec(
            model=ModelSpec(name="org/tiny", revision="sha256:0", tokenizer="0"),
            method=MethodSpec(name=name, params=params or {}),
            train=train,
            precision=precision,
            seed=seed,
        )
        return TrainJob(
            spec=spec,
            **whence(name),
            model=model,
            examples=examples,
            folder=folder,
            plugins=("tests.toys.training",),
        )

    return make


@cache
def _registry() -> Registry:
    return Registry.load(extra=("tests.toys.training",))


def whence(name: str) -> dict[str, Any]:
    """Return what a job says of its method beside the spec."""
    found = _registry()
    if name not in found.methods:
        return {"role": "candidate", "origin": ORIGIN}
    return {"role": found.methods[name].role, "origin": found.origins["method", name]}


def run(job: TrainJob) -> RunRecord:
    return process.run(job, lambda _: None)


def done(job: TrainJob) -> RunRecord:
    outcome = run(job)
    assert (outcome.status, outcome.reason) == ("done", "")
    return outcome


def losses(job: TrainJob) -> list[float]:
    return [json.loads(line)["loss"] for line in job.steps.read_text().splitlines()]


def weights(job: TrainJob) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(chain.from_iterable(load_file(p).items() for p in job.checkpoint.glob("*.saf*")))

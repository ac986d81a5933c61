"""What the training benchmarks train: models, samples and jobs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Any

from benchbench import MethodSpec, ModelSpec, RunSpec, TaskSpec, TrainSpec, machine
from benchbench.models.base import BaseModel
from benchbench.models.prompt import Example, Renderer
from benchbench.plan.plan import Grid, make_plan
from benchbench.registry.registry import Registry
from benchbench.specs import DataSpec
from benchbench.train.examples import write_examples
from benchbench.train.job import TrainJob

SHAPES: Mapping[str, Mapping[str, int]] = {
    "tiny": {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "layers": 2},
    "100m": {"vocab_size": 8192, "hidden_size": 768, "intermediate_size": 2048, "layers": 12},
    # Llama 3.2 1B and Llama 3.1 8B, by the config.json of each.
    "1b": {"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "layers": 16},
    "8b": {"vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "layers": 32},
}
HEADS = {"tiny": (2, 1), "100m": (12, 12), "1b": (32, 8), "8b": (32, 8)}
"""Of queries, and of keys and values."""


def llama(shape: str) -> Any:
    """Return the configuration of a Llama; only the largest has a head of its own."""
    from transformers import LlamaConfig

    sizes = dict(SHAPES[shape])
    heads, key_heads = HEADS[shape]
    return LlamaConfig(
        num_hidden_layers=sizes.pop("layers"),
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=4096,
        tie_word_embeddings=shape != "8b",
        **sizes,
    )


def write_config(folder: Path, config: Any) -> Path:
    """Write the folder of a model that has no weights."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = config.to_dict() | {"architectures": ["LlamaForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(plain))
    return folder


def random_model(config: Any) -> Any:
    """Return a model with random weights in float32, where tensors live."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    with torch.device(machine.device()):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def random_examples(lengths: Sequence[int], vocabulary: int) -> list[Example]:
    """Return samples of these lengths, of which the last quarter is learned."""
    random = Random(0)
    rows = [tuple(random.choices(range(vocabulary), k=length)) for length in lengths]
    return [Example(prompt=row[: (n := len(row) * 3 // 4)], completion=row[n:]) for row in rows]


def super_ni(model: Path, count: int, data: Path | None) -> tuple[list[Example], str]:
    """Return as many training samples of super-ni as asked for, and their source.

    They are drawn by chance, and again and again where there are fewer.
    """
    registry = Registry.load()
    grid = Grid(
        model=str(model), methods=(MethodSpec(name="lora"),), tasks=(TaskSpec(name="super-ni"),)
    )
    training = make_plan(grid, registry, data, "float32").training
    assert training is not None
    random, renderer = Random(0), Renderer.of(BaseModel(model))
    deck: list[Any] = []
    found: list[Example] = []
    while len(found) < count:
        deck = deck or random.sample(training.samples, len(training.samples))
        split, sample = deck.pop()
        example = renderer.example(split.task, sample, split.protocol)
        found += [example] * example.is_learned
    return found, training.data.source


def described(examples: Sequence[Example]) -> str:
    """Describe the distribution of lengths."""
    lengths = [len(e.tokens) for e in examples]
    cuts = [round(cut) for cut in quantiles(lengths, n=20)]
    learned = sum(len(e.completion) for e in examples) / sum(lengths)
    return (
        f"{len(lengths)} samples; tokens: least {min(lengths)}, 5 % {cuts[0]}, 25 % {cuts[4]}, "
        f"median {cuts[9]}, 75 % {cuts[14]}, 95 % {cuts[18]}, most {max(lengths)}; "
        f"{100 * learned:.0f} % of them completion"
    )


def new_job(folder: Path, method: str, examples: Sequence[Example], **train: Any) -> TrainJob:
    """Return a job that trains a method with its defaults; ``train`` are fields of TrainSpec."""
    path = folder / "examples.safetensors"
    write_examples(path, examples)
    spec = RunSpec(
        model=ModelSpec(name="benchmark", revision="sha256:0", tokenizer="0"),
        method=MethodSpec(name=method),
        train=TrainSpec(
            task=TaskSpec(name="super-ni", protocol="benchmark"),
            data=DataSpec(source="sample", digest="0"),
            **train,
        ),
        precision=machine.precision(),
        seed=42,
    )
    registry = Registry.load()
    return TrainJob(
        spec=spec,
        role=registry.methods[method].role,
        origin=registry.origins["method", method],
        model=folder,
        examples=path,
        folder=folder / "run",
    )

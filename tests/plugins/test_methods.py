"""Every stock method on the tests' tiny model: it trains, starts where it says, is served well."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbench import MethodSpec, ModelSpec, RunSpec, TaskSpec, Training, TrainSpec
from benchbench.checkpoints import modules
from benchbench.checkpoints.learned import PREFIX, Prefix, SoftPrompt
from benchbench.checkpoints.parity import TOLERANCE, Reference, largest_difference
from benchbench.models.logprobs import token_logprobs
from benchbench.models.prompt import Example
from benchbench.registry.registry import Registry
from benchbench.specs import DataSpec
from benchbench.train import process
from benchbench.train.batches import padded
from benchbench.train.examples import write_examples
from benchbench.train.job import TrainJob
from tests.toys.jobs import whence

pytestmark = pytest.mark.usefixtures("one_thread")

REGISTRY = Registry.load()
CANDIDATES = [name for name, cls in REGISTRY.methods.items() if cls.role == "candidate"]

NEEDS = {
    "qlora": ["bitsandbytes"],
    "galore": ["galore_torch", "bitsandbytes"],
    "apollo": ["apollo_torch", "bitsandbytes"],
}
"""Optional packages."""

ROUTES = {
    name: route
    for route, names in {
        "lora": "lora rslora pissa olora eva corda lora-ga lora-plus lora-fa adalora loha vera "
        "delora miss hra lokr vblora peft",
        "weights": "dora qlora ia3 oft boft ln-tuning fourierft randlora road shira galore apollo",
        "soft_prompt": "prompt-tuning p-tuning",
        "prefix": "prefix-tuning",
        "modules": "adapter bitfit",
    }.items()
    for name in names.split()
}

SMALL: dict[str, dict[str, Any]] = {
    "adalora": {"rank": 2, "start_rank": 4, "interval": 1},
    "eva": {"alpha": 4},
    "fourierft": {"coefficients": 100},
    "loha": {"rank": 3},
    "miss": {"rank": 4},
    "qlora": {"learning_rate": 0.003},
    "full": {"learning_rate": 0.001},
    "galore": {"learning_rate": 0.001},
    "apollo": {"learning_rate": 0.001},
    "ia3": {"learning_rate": 0.05},
    "ln-tuning": {"learning_rate": 0.05},
    "randlora": {"learning_rate": 0.001},
    "vera": {"learning_rate": 0.05},
    "peft": {"type": "lora", "options": "r=4"},
}
"""What differs from rank 4 and a learning rate of 0.01, to suit layers of 32 to 128."""

PROMPTS = [[0, 5, 9, 30, 44, 7], [0, 61, 61, 12, 90, 250, 3, 8]]


def params(name: str) -> dict[str, Any]:
    fields = REGISTRY.methods[name].__dataclass_fields__
    given = {"learning_rate": 0.01} | ({"rank": 4} if "rank" in fields else {})
    return given | SMALL.get(name, {})


def need(name: str) -> None:
    for package in NEEDS.get(name, []):
        pytest.importorskip(package)


def one_batch() -> list[Example]:
    noise = [tuple(range(40 + 20 * n, 50 + 21 * n)) for n in range(4)]
    return [
        Example(prompt=(0, *row, n + 5), completion=(n + 5, 9, 1)) for n, row in enumerate(noise)
    ]


TRAINING = Training(
    steps=8,
    parts=1,
    weight_decay=0.0,
    max_grad_norm=1.0,
    batches=lambda: iter([padded(one_batch())]),
)

NewJob = Callable[..., TrainJob]


@pytest.fixture
def new_job(tiny_model: Path, tmp_path: Path) -> NewJob:
    """Make a job of 8 steps, all of them over the same batch."""

    def make(name: str, given: dict[str, Any], folder: str = "run") -> TrainJob:
        examples = tmp_path / "examples.safetensors"
        if not examples.exists():
            write_examples(examples, one_batch())
        train = TrainSpec(
            task=TaskSpec(name="count", protocol="plain"),
            data=DataSpec(source="sample", digest="0"),
            epochs=8.0,
            batch_size=4,
        )
        spec = RunSpec(
            model=ModelSpec(name="org/tiny", revision="sha256:0", tokenizer="0"),
            method=MethodSpec(name=name, params=given),
            train=train,
            precision="float32",
            seed=42,
        )
        return TrainJob(
            spec=spec,
            **whence(name),
            model=tiny_model,
            examples=examples,
            folder=tmp_path / folder,
        )

    return make


def losses(job: TrainJob) -> list[float]:
    return [json.loads(line)["loss"] for line in job.steps.read_text().splitlines()]


def of_weights(job: TrainJob, prompts: list[list[int]]) -> list[list[float]]:
    from transformers import AutoModelForCausalLM

    return token_logprobs(AutoModelForCausalLM.from_pretrained(job.checkpoint).eval(), prompts)


def of_lora(job: TrainJob, prompts: list[list[int]]) -> list[list[float]]:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32)
    return token_logprobs(PeftModel.from_pretrained(base, job.checkpoint).eval(), prompts)


def of_learned(job: TrainJob, prompts: list[list[int]]) -> list[list[float]]:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32).eval()
    is_prefix = (job.checkpoint / PREFIX).exists()
    learned = (Prefix if is_prefix else SoftPrompt).read(job.checkpoint, job.base)
    return token_logprobs(
        model, prompts, lambda ids: learned.before(model, ids, torch.ones_like(ids))
    )


def of_modules(job: TrainJob, prompts: list[list[int]]) -> list[list[float]]:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32).eval()
    modules.load(model, job.checkpoint)
    return token_logprobs(model, prompts)


LOADERS = {
    "weights": of_weights,
    "lora": of_lora,
    "soft_prompt": of_learned,
    "prefix": of_learned,
    "modules": of_modules,
}


@pytest.mark.parametrize("name", CANDIDATES)
def test_it_learns_and_is_served_by_its_route(name: str, new_job: NewJob) -> None:
    need(name)
    job = new_job(name, params(name))
    outcome = process.run(job, lambda _: None)
    assert (outcome.status, outcome.reason) == ("done", "")
    found = losses(job)
    assert len(found) == 8
    assert found[-1] < found[0]
    cost, artefact = outcome.cost, outcome.artefact
    assert cost is not None and artefact is not None
    whole = name in ("galore", "apollo")
    assert (cost.trainable_parameters == cost.total_parameters) == whole
    assert artefact.route == ROUTES[name]
    reference = Reference.read(job.folder / "parity.json")
    served = LOADERS[artefact.route](job, reference.prompts)
    assert largest_difference(served, reference.trained) <= TOLERANCE["float32"]


@pytest.mark.parametrize("name", CANDIDATES)
def test_it_starts_as_the_base_model_if_it_says_so(name: str, tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, set_seed

    need(name)
    method = REGISTRY.method(MethodSpec(name=name, params=params(name)))
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    base = token_logprobs(model, PROMPTS)
    set_seed(1)
    adapted = method.adapt(model, TRAINING).eval()
    difference = largest_difference(token_logprobs(adapted, PROMPTS), base)
    if name == "peft":
        return  # it depends on the type
    assert (difference <= TOLERANCE["float32"]) == method.identity, difference


@pytest.mark.parametrize("name", ["lora", "vera", "randlora", "fourierft", "prompt-tuning"])
def test_the_seed_decides_what_is_drawn(name: str, tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, set_seed

    def drawn(seed: int) -> dict[str, Any]:
        model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
        set_seed(seed)
        return (
            REGISTRY.method(MethodSpec(name=name, params=params(name)))
            .adapt(model, TRAINING)
            .state_dict()
        )

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_some_layers_may_have_a_rank_of_their_own(new_job: NewJob) -> None:
    from safetensors.torch import load_file

    job = new_job("lora", {"rank": 4, "ranks": "q_proj:2+down_proj:8"})
    outcome = process.run(job, lambda _: None)
    assert outcome.artefact is not None and outcome.artefact.route == "lora"
    kept = load_file(job.checkpoint / "adapter_model.safetensors")
    ranks = {name.split(".")[-3]: len(t) for name, t in kept.items() if "lora_A" in name}
    assert (ranks["q_proj"], ranks["k_proj"], ranks["down_proj"]) == (2, 4, 8)


def test_adalora_ends_with_the_mean_rank_asked_for(new_job: NewJob) -> None:
    from safetensors.torch import load_file

    job = new_job("adalora", params("adalora"))
    assert process.run(job, lambda _: None).status == "done"
    kept = load_file(job.checkpoint / "adapter_model.safetensors")
    left = sum(int(t.any(1).sum()) for name, t in kept.items() if "lora_A" in name)
    assert left == 14 * params("adalora")["rank"]


@pytest.mark.parametrize(
    ("kind", "options", "route"),
    [
        ("gralora", "r=8;target_modules=all-linear;gralora_k=2", "lora"),
        ("oft", "oft_block_size=16;use_cayley_neumann=false", "weights"),
        ("cartridge", "num_virtual_tokens=4", "prefix"),
        ("lily", "target_modules=q_proj+v_proj", "transformers"),
    ],
)
def test_any_type_of_peft_is_trained_by_its_name(
    kind: str, options: str, route: str, new_job: NewJob
) -> None:
    job = new_job("peft", {"type": kind, "options": options, "learning_rate": 0.01})
    outcome = process.run(job, lambda _: None)
    assert (outcome.status, outcome.reason) == ("done", "")
    assert outcome.artefact is not None and outcome.artefact.route == route


@pytest.mark.parametrize("name", NEEDS)
def test_a_missing_package_is_named(
    name: str, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in NEEDS[name]:
        for module in [m for m in sys.modules if m.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, package, None)
    outcome = process.run(new_job(name, {}), lambda _: None)
    assert outcome.status == "failed"
    assert outcome.reason.startswith(f"ImportError: method {name!r} needs")
    assert "pip install" in outcome.reason


def test_ln_tuning_trains_the_norms_that_are_named(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    method = REGISTRY.method(MethodSpec(name="ln-tuning", params={"targets": "input_layernorm"}))
    model = method.adapt(AutoModelForCausalLM.from_pretrained(tiny_model), TRAINING)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) == 2 and all("input_layernorm" in name for name in trained)

"""How long it takes to evaluate several adapters of one base model, served in different ways.

    python benchmarks/adapters.py [--model FOLDER] [--adapters 8] [--prompts 16] [--tokens 32]

mixed        one engine, all adapters in one batch: what benchbench does
one by one   one engine, adapter after adapter
new engines  a new process and engine for each adapter: what other suites do
swap         full weights swapped into the live engine, against starting an engine for them

Wall times of the same requests on this machine, run in turns; medians over the repeats. Each way
must give the same tokens, or the script fails. Adapters have random weights: only time is measured.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchbench.contract.task import Generation
from benchbench.engines.choice import open_engine
from benchbench.engines.engine import EngineSettings, Request
from benchbench.models.base import BaseModel
from benchbench.records.record import Checkpoint
from benchbench.records.store import hash_folder

Tokens = dict[str, tuple[tuple[int, ...], ...]]


def main() -> None:
    options = parse()
    if options.child:
        serve_alone(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        adapters = [
            write_adapter(Path(folder) / f"adapter{number}", options.model, number)
            for number in range(options.adapters)
        ]
        weights = write_weights(Path(folder) / "weights", options.model)
        times = measure(options, adapters, weights)
    medians = {name: statistics.median(values) for name, values in times.items()}
    spread = {name: f"{min(v):.2f} to {max(v):.2f}" for name, v in times.items()}
    print(f"{options.adapters} adapters, {options.prompts} prompts each, {options.tokens} tokens")
    for name, value in medians.items():
        unit = medians["swap" if name in ("swap", "start") else "mixed"]
        print(f"{name:12} {value:8.2f} s   ratio {value / unit:7.2f}   ({spread[name]} s)")


def parse() -> Any:
    from benchbench.registry.registry import Registry

    parser = argparse.ArgumentParser(description="Time ways to evaluate several adapters.")
    parser.add_argument("--model", type=Path, default=None)
    for name, default in (("adapters", 8), ("prompts", 16), ("tokens", 32), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.model = options.model or Path(Registry.load().models["nano"].path)
    return options


def measure(
    options: Any, adapters: Sequence[Checkpoint], weights: Checkpoint
) -> dict[str, list[float]]:
    started = time.perf_counter()
    engine = open_engine("vllm", settings(options), [*adapters, weights])
    engine.load([*adapters, weights])
    start = time.perf_counter() - started
    wanted = requests(options, adapters)
    list(engine.complete(wanted[:4]))  # warm
    times: dict[str, list[float]] = {name: [] for name in ("mixed", "one by one", "swap")}
    for _ in range(options.repeats):
        mixed = timed(times["mixed"], lambda: answers(engine, wanted))
        alone = timed(
            times["one by one"],
            lambda: {
                k: v
                for adapter in adapters
                for k, v in answers(engine, requests(options, [adapter])).items()
            },
        )
        assert mixed == alone, "the ways differ in their tokens"
        timed(times["swap"], lambda: engine.logprobs(weights.run_id, [wanted[0].prompt]))
        engine.logprobs(adapters[0].run_id, [wanted[0].prompt])
    engine.close()
    times["start"] = [start]
    times["new engines"] = []
    separate = timed(
        times["new engines"],
        lambda: {
            k: v for adapter in adapters for k, v in in_a_new_process(options, adapter).items()
        },
    )
    assert separate == mixed, "the ways differ in their tokens"
    return times


def timed(times: list[float], work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = work()
    times.append(time.perf_counter() - started)
    return result


def answers(engine: Any, wanted: Sequence[Request]) -> Tokens:
    return {c.id: c.tokens for c in engine.complete(wanted)}


def requests(options: Any, adapters: Sequence[Checkpoint]) -> list[Request]:
    generation = Generation(max_tokens=options.tokens)
    return [
        Request(
            id=f"{adapter.run_id}/{number}",
            checkpoint=adapter.run_id,
            prompt=tuple(10 + (number * 7 + place * 3) % 200 for place in range(40)),
            generation=generation,
        )
        for number in range(options.prompts)
        for adapter in adapters
    ]


def settings(options: Any) -> EngineSettings:
    return EngineSettings(model=BaseModel(options.model), precision="float32", max_tokens=512)


def in_a_new_process(options: Any, adapter: Checkpoint) -> Tokens:
    arguments = [f"--{n}={getattr(options, n)}" for n in ("model", "prompts", "tokens")]
    command = [sys.executable, __file__, *arguments, f"--child={adapter.folder}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {k: tuple(map(tuple, v)) for k, v in json.loads(done.stdout).items()}


def serve_alone(options: Any) -> None:
    adapter = checkpoint(options.child, "lora")
    engine = open_engine("vllm", settings(options), [adapter])
    engine.load([adapter])
    json.dump(answers(engine, requests(options, [adapter])), sys.stdout)
    engine.close()


def checkpoint(folder: Path, route: str) -> Checkpoint:
    return Checkpoint(run_id=folder.name, route=route, sha256=hash_folder(folder), folder=folder)


def write_adapter(folder: Path, model: Path, seed: int) -> Checkpoint:
    import torch
    from peft import LoraConfig, get_peft_model

    network = get_peft_model(load(model), LoraConfig(r=8, target_modules="all-linear"))
    torch.manual_seed(seed)
    for name, weights in network.named_parameters():
        if "lora_B" in name:
            weights.data.normal_(0, 0.02)
    network.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's; a checkpoint holds weights and JSON
    return checkpoint(folder, "lora")


def write_weights(folder: Path, model: Path) -> Checkpoint:
    import torch

    network = load(model)
    torch.manual_seed(0)
    for weights in network.parameters():
        weights.data.add_(torch.randn_like(weights) * 0.05 * weights.std())
    network.save_pretrained(folder)
    return checkpoint(folder, "weights")


def load(model: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)


if __name__ == "__main__":
    import os

    os.environ.update(OMP_WAIT_POLICY="PASSIVE", HF_HUB_OFFLINE="1")
    main()

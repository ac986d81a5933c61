"""How near the estimate of a training's memory is to what the training takes.

    python benchmarks/memory.py [--models nano,100m] [--methods full,lora,adapter] [--batches 2,8]

Each training is a process of its own, real and of three steps of packed rows. Measured is what
``Cost.peak_memory_bytes`` records, less what the process held before it read the model: by then it
has trained a tiny one, so that libraries are loaded. On an accelerator nothing is held before.

On a processor glibc keeps much of what was given back, in pieces that do not fit what is asked for
next; with --exact it gives all back at once (MALLOC_MMAP_THRESHOLD_), and what is measured is what
tensors take.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchbench import machine
from benchbench.machine import peak_memory, reset_peak
from benchbench.models.base import BaseModel
from benchbench.models.find import find_model
from benchbench.registry.registry import Registry
from benchbench.train import trainer
from benchbench.train.examples import read_examples
from benchbench.train.memory import estimate, largest

from workload import SHAPES, llama, new_job, random_examples, random_model, write_config  # isort: skip

TOKENS = 128
"""Of each sample."""


def main() -> None:
    options = parse()
    if options.child:
        print(json.dumps(measure(*options.child)))
        return
    rows = []
    for model in options.models:
        for method in options.methods:
            for batch in options.batches:
                command = [sys.executable, __file__, "--child", model, method, batch]
                exact = {"MALLOC_MMAP_THRESHOLD_": "65536"} if options.exact else {}
                done = subprocess.run(
                    command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | exact
                )
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                if not options.json:
                    print_row(rows[-1], first=len(rows) == 1)
    if options.json:
        print(json.dumps(rows, indent=1))


def parse() -> Any:
    parser = argparse.ArgumentParser(description="Compare estimated with measured memory.")
    for name, default in (
        ("models", "nano,100m"),
        ("methods", "full,lora,adapter"),
        ("batches", "2,8"),
    ):
        parser.add_argument(
            f"--{name}", type=lambda text: text.split(","), default=default.split(",")
        )
    for flag in ("exact", "json"):
        parser.add_argument(f"--{flag}", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def print_row(row: dict[str, Any], first: bool) -> None:
    if first:
        print("model    method   batch  estimated   measured  ratio   without weights  (MB)")
    print(
        f"{row['model']:8} {row['method']:8} {row['batch']:5} {row['estimate'] / 1e6:10.1f} "
        f"{row['measured'] / 1e6:10.1f} {row['estimate'] / row['measured']:6.2f} "
        f"{row['without_weights']:17.2f}"
    )


def measure(name: str, method: str, batch: str) -> dict[str, Any]:
    """Train in this process; return what it took, what was estimated, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder) / "warm", "tiny", method, 2)
        path = Path(folder) / "measured"
        model = prepared(path, name)
        reset_peak()
        before = peak_memory() if machine.device() == "cpu" else 0
        assert before is not None, "this system does not tell how much memory a process holds"
        job, fitted = train(path, name, method, int(batch), model)
        cost, held = fitted.cost, (*fitted.model.parameters(), *fitted.model.buffers())
        weights = sum(tensor.nbytes for tensor in held)
        built = Registry.load().method(job.spec.method)
        assert job.spec.train is not None and job.examples is not None
        examples = list(read_examples(job.examples))
        shape = largest(examples, job.spec.train, job.spec.seed, packed=bool(cost.packed))
        found = estimate(BaseModel(model), built, job.spec.train, shape, job.spec.precision)
    assert found.total is not None, found.reason
    measured = cost.peak_memory_bytes - before
    return {
        "model": name,
        "method": method,
        "batch": int(batch),
        "estimate": found.total,
        "measured": measured,
        "without_weights": (found.total - weights) / (measured - weights),
        "process": before,
    }


def prepared(folder: Path, name: str) -> Path:
    """Return the folder of a model, which is written in a process of its own to leave no trace."""
    if name not in SHAPES:
        return find_model(name, Registry.load().models).folder
    write_config(folder, llama(name))
    if os.fork() == 0:
        random_model(llama(name)).save_pretrained(folder)
        os._exit(0)
    os.wait()
    return folder


def train(path: Path, name: str, method: str, batch: int, model: Path | None = None) -> Any:
    import torch

    model = model or prepared(path, name)
    size = llama(name).vocab_size if name in SHAPES else 3072
    examples = random_examples([TOKENS] * batch, size)
    job = new_job(path, method, examples, steps=3, batch_size=batch)
    read = BaseModel(model).load(torch.float32).to(machine.device())
    built = Registry.load().method(job.spec.method)
    return job, trainer.fit(job, built, read, lambda _: None)


if __name__ == "__main__":
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", HF_HUB_OFFLINE="1")
    main()

"""How fast a card trains models of real size, how near that is to what it can, and what it takes.

    python benchmarks/gpu_training.py [--shape 1b] [--methods full,lora,qlora,adapter] [--rows 4]

Llamas with random weights, of the shape of Llama 3.2 1B or 3.1 8B, go through benchbench's own
training: weights in float32, arithmetic in bfloat16 where the card has it. Every step sees the same
packed rows of 2048 tokens: one sample that fills a row, and others of a quarter.

model FLOPs   per token 6 for each trained parameter and 4 for each frozen one that gradients pass
              (no gradient of the weight itself), embeddings left out unless the head is tied to
              them, and 12 · layers · hidden · row for attention, as in PaLM (arXiv 2204.02311,
              appendix B): not halved for causality, not counted twice for checkpointing
ceiling       the largest of several products of two square matrices, in the same precision
utilisation   model FLOPs a second over the ceiling (MFU)
memory        the most at once, beside what benchbench.train.memory estimates

With --profile the kernels that take most time are shown. ``--shape tiny`` runs anywhere.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchbench import machine
from benchbench.models.base import BaseModel
from benchbench.registry.registry import Registry
from benchbench.train import trainer
from benchbench.train.memory import Shape, estimate

from workload import (  # isort: skip
    SHAPES,
    llama,
    new_job,
    random_examples,
    random_model,
    write_config,
)

ROW = 2048


def main() -> None:
    options = parse()
    row = 256 if options.shape == "tiny" else ROW
    top = ceiling()
    report: dict[str, Any] = {
        "device": machine.environment()["accelerators"] or ["cpu"],
        "precision": machine.precision(),
        "shape": options.shape,
        "tokens_per_step": row * options.rows,
        "ceiling_flops": top,
        "methods": {},
    }
    for name in options.methods:
        report["methods"][name] = measured(options, name, row, top)
    if options.json:
        print(json.dumps(report, indent=1))
        return
    print(
        f"{report['device'][0]}, {report['precision']}, {options.shape}: {options.rows} rows of "
        f"{row} tokens a step; ceiling {top / 1e12:.2f} TFLOP/s"
    )
    print("method    tokens/s  utilisation  memory (GB)  estimated (GB)")
    for name, found in report["methods"].items():
        estimated = found["estimate"]["total"]
        guess = f"{estimated / 1e9:.2f}" if estimated else found["estimate"]["reason"]
        if found["error"]:
            print(f"{name:8} {found['error']}; estimated {guess}")
            continue
        print(
            f"{name:8} {found['tokens_per_second']:9.0f} {100 * found['utilisation']:10.1f} % "
            f"{found['peak_memory_bytes'] / 1e9:12.2f}  {guess:>14}"
        )


def parse() -> Any:
    parser = argparse.ArgumentParser(description="Time training at real size.")
    parser.add_argument("--shape", choices=list(SHAPES), default="1b")
    parser.add_argument(
        "--methods",
        type=lambda text: text.split(","),
        default=["full", "lora", "qlora", "adapter"],
    )
    for name, default in (("rows", 4), ("parts", 1), ("steps", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for flag in ("checkpointing", "profile", "json"):
        parser.add_argument(f"--{flag}", action="store_true")
    return parser.parse_args()


def measured(options: Any, name: str, row: int, top: float) -> dict[str, Any]:
    """Train with one method; an error such as too little memory is an answer too."""
    config = llama(options.shape)
    # One sample sets the width; a part is as many rows, which samples of a quarter fill.
    each = options.rows // options.parts
    lengths = [row] * options.parts + [row // 4] * (4 * (each - 1) * options.parts)
    with tempfile.TemporaryDirectory() as place:
        folder = write_config(Path(place) / "model", config)
        job = new_job(
            folder,
            name,
            random_examples(lengths, config.vocab_size),
            steps=options.steps,
            batch_size=len(lengths),
            gradient_accumulation=options.parts,
            gradient_checkpointing=options.checkpointing,
        )
        assert job.spec.train is not None
        method = Registry.load().method(job.spec.method)
        shape = Shape(rows=each, tokens=row, packed=True)
        guess = estimate(BaseModel(folder), method, job.spec.train, shape, job.spec.precision)
        found: dict[str, Any] = {"estimate": vars(guess) | {"shape": vars(shape)}, "error": None}
        try:
            with profiler(options.profile) as profile:
                fitted = trainer.fit(job, method, random_model(config), lambda _: None)
        except Exception as error:
            if not machine.is_out_of_memory(error):
                raise
            return found | {"error": "out of memory"}
        finally:
            release()
    if profile:
        table = profile.key_averages().table(sort_by=f"self_{machine.device()}_time_total")
        print("\n".join(table.splitlines()[:20]), file=sys.stderr)
    cost = fitted.cost
    rate = cost.tokens_per_second or 0.0
    return found | {
        "tokens_per_second": rate,
        "step_seconds": cost.step_seconds,
        "utilisation": rate * flops(fitted.model, config, row) / top,
        "peak_memory_bytes": cost.peak_memory_bytes,
        "peak_memory_kind": cost.peak_memory_kind,
        "trainable_parameters": cost.trainable_parameters,
        "packed": cost.packed,
    }


def flops(model: Any, config: Any, row: int) -> float:
    """Return the model FLOPs of a token, forward and backward."""
    from benchbench.train.recorder import count_parameters

    cost = count_parameters(model)
    trained = cost.trainable_parameters
    frozen = cost.total_parameters - trained
    # Embeddings are looked up and not multiplied; a tied head multiplies by them.
    looked_up = 0 if config.tie_word_embeddings else config.vocab_size * config.hidden_size
    trained, frozen = (trained, frozen - looked_up) if frozen else (trained - looked_up, 0)
    attention = 12 * config.num_hidden_layers * config.hidden_size * row
    return 6 * trained + 4 * frozen + attention


def ceiling() -> float:
    """Return the FLOPs a second of the best of several matrix products, in training's precision."""
    import torch

    sizes = (4096, 8192, 16384) if machine.device() == "cuda" else (512, 1024)
    best = 0.0
    for size in sizes:
        a, b = (
            torch.randn(
                size, size, device=machine.device(), dtype=getattr(torch, machine.precision())
            )
            for _ in range(2)
        )
        seconds = timed(lambda a=a, b=b: a @ b)  # type: ignore[misc]
        best = max(best, 2 * size**3 / seconds)
    return best


def timed(work: Callable[[], Any], repeats: int = 20) -> float:
    """Return the seconds of one of several repeats, after some that warm up."""
    for _ in range(3):
        work()
    synchronize()
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    synchronize()
    return (time.perf_counter() - started) / repeats


def profiler(wanted: bool) -> Any:
    from torch.profiler import profile

    return profile() if wanted else nullcontext()


def synchronize() -> None:
    if machine.device() == "cuda":
        import torch

        torch.cuda.synchronize()


def release() -> None:
    if machine.device() == "cuda":
        import gc

        import torch

        gc.collect()
        torch.cuda.empty_cache()


if __name__ == "__main__":
    import os

    os.environ.update(OMP_WAIT_POLICY="PASSIVE", HF_HUB_OFFLINE="1")
    main()

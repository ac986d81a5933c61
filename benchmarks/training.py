"""How fast training is, beside a plain Trainer and beside a loop with nothing but the arithmetic.

    python benchmarks/training.py [--model nano] [--methods full,lora] [--steps 10] [--rounds 3]

packed    benchbench's training as it is: samples share rows
buckets   the same with packing=False: samples of like length, padded
trainer   transformers.Trainer on shuffled batches padded to their longest: what most people write
bare      a loop of forward, backward, clipping, AdamW and schedule on the batches of ``packed``

All see the same samples of super-ni, as many a step, in the same precision and threads, in one
process, and take turns. The clock runs from the end of the warm-up to the end of the last step,
with all that happens between steps; with 25 steps or more ours writes checkpoints meanwhile. Tokens
are counted without padding. Ratios are of the speeds within a round; their median and range are
shown, and the median by this process's CPU time, which other processes change less.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchbench import machine
from benchbench.contract.method import Method, Training
from benchbench.models.base import BaseModel
from benchbench.models.find import find_model
from benchbench.models.prompt import Example
from benchbench.registry.registry import Registry
from benchbench.train import batches, trainer
from benchbench.train.examples import plan, read_examples
from benchbench.train.job import TrainJob
from benchbench.train.schedule import training

from workload import described, new_job, super_ni  # isort: skip

WARM_UP = 2
"""Steps that are not timed."""
WAYS = ("packed", "buckets", "trainer", "bare")

Times = list[tuple[float, float]]
"""When each step was over, by the clock and by this process's CPU time."""


class Speed(NamedTuple):
    """What one training of one way reached."""

    tokens: float
    """A second, padding left out."""
    learned: float
    """Tokens of completion a second."""
    tokens_per_cpu_second: float


def main() -> None:
    options = parse()
    registry = Registry.load()
    options.folder = find_model(options.model, registry.models).folder
    count = (options.steps + WARM_UP) * options.batch_size
    examples, source = super_ni(options.folder, count, options.data)
    report: dict[str, Any] = {
        "model": options.model,
        "data": source,
        "lengths": described(examples),
        "steps": options.steps,
        "rounds": options.rounds,
        "device": machine.device(),
        "precision": machine.precision(),
        "load": os.getloadavg()[0],
        "methods": {},
    }
    print(f"{options.model}, super-ni ({source}): {report['lengths']}", file=sys.stderr)
    for name in options.methods:
        report["methods"][name] = measure(options, registry, name, examples)
    if options.json:
        print(json.dumps(report, indent=1))
        return
    print(f"load at the beginning {report['load']:.1f}, {report['precision']}, {report['device']}")
    print("method   way       tokens/s  completion/s  packed ÷ it   range           by CPU time")
    for name, ways in report["methods"].items():
        for way, row in ways.items():
            low, middle, high = row["packed_over_it"]
            print(
                f"{name:8} {way:8} {row['tokens_per_second']:9.0f} "
                f"{row['completion_tokens_per_second']:13.0f} {middle:12.2f}   "
                f"{low:.2f} to {high:.2f} {row['packed_over_it_by_cpu']:14.2f}"
            )


def parse() -> Any:
    parser = argparse.ArgumentParser(description="Time training beside plain ways to train.")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=["full", "lora"])
    for name, default in (("steps", 10), ("rounds", 3), ("batch-size", 16), ("threads", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--data", type=Path, help="data root; default: BENCHBENCH_DATA")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    return options


def measure(
    options: Any, registry: Registry, name: str, examples: Sequence[Example]
) -> dict[str, Any]:
    """Return speeds and ratios of one method, by way."""
    speeds: dict[str, list[Speed]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for way in WAYS:
                place = Path(folder) / f"{way}{number}"
                job = new_job(
                    place,
                    name,
                    examples,
                    epochs=1.0,
                    batch_size=options.batch_size,
                    packing=way != "buckets",
                )
                method = registry.method(job.spec.method)
                model = BaseModel(options.folder).load(_float32()).to(machine.device())
                times, seen = way_of(way)(job, method, model)
                speeds[way].append(speed(times, seen, examples))
    return {way: compared(speeds["packed"], each) for way, each in speeds.items()}


def compared(packed: Sequence[Speed], it: Sequence[Speed]) -> dict[str, Any]:
    pairs = list(zip(packed, it, strict=True))
    ratios = [ours.tokens / other.tokens for ours, other in pairs]
    return {
        "tokens_per_second": statistics.median(each.tokens for each in it),
        "completion_tokens_per_second": statistics.median(each.learned for each in it),
        "packed_over_it": [min(ratios), statistics.median(ratios), max(ratios)],
        "packed_over_it_by_cpu": statistics.median(
            ours.tokens_per_cpu_second / other.tokens_per_cpu_second for ours, other in pairs
        ),
    }


def speed(times: Times, seen: Sequence[Sequence[int]], examples: Sequence[Example]) -> Speed:
    """Return how fast steps were; ``seen`` are the samples of each."""
    assert len(times) == len(seen), f"{len(times)} steps instead of {len(seen)}"
    wall, cpu = (last - first for first, last in zip(times[WARM_UP - 1], times[-1], strict=True))
    timed = [examples[index] for step in seen[WARM_UP:] for index in step]
    learned = sum(len(e.completion) for e in timed)
    tokens = learned + sum(len(e.prompt) for e in timed)
    return Speed(tokens / wall, learned / wall, tokens / cpu)


def way_of(way: str) -> Callable[[TrainJob, Method, Any], tuple[Times, Sequence[Sequence[int]]]]:
    return {"trainer": plain_trainer, "bare": bare}.get(way, ours)


def ours(job: TrainJob, method: Method, model: Any) -> tuple[Times, Sequence[Sequence[int]]]:
    times: Times = []
    fitted = trainer.fit(job, method, model, lambda p: times.append(now()) if p.step else None)
    assert job.spec.train is not None
    assert fitted.cost.packed == job.spec.train.packing, "samples did not share rows"
    return times, dealt(job)


def dealt(job: TrainJob) -> list[list[int]]:
    """Return the samples of each step."""
    assert job.spec.train is not None and job.examples is not None
    steps = plan(read_examples(job.examples).lengths, job.spec.train, job.spec.seed)
    return [[index for part in step for index in part] for step in steps]


def plain_trainer(
    job: TrainJob, method: Method, model: Any
) -> tuple[Times, Sequence[Sequence[int]]]:
    import torch
    from transformers import (
        DataCollatorForSeq2Seq,
        PrinterCallback,
        Trainer,
        TrainerCallback,
        TrainingArguments,
        set_seed,
    )

    times: Times = []
    seen: list[list[int]] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            synchronize()
            times.append(now())

    class Padding:
        """The fewest fields of a tokenizer that a collator pads with."""

        padding_side = "right"

        def pad(self, rows: Any, **_: Any) -> Any:
            width = max(len(row["input_ids"]) for row in rows)
            return {
                key: torch.tensor([row[key] + [0] * (width - len(row[key])) for row in rows])
                for key in ("input_ids", "attention_mask")
            }

    assert job.spec.train is not None and job.examples is not None
    train, rows = job.spec.train, []
    for number, each in enumerate(read_examples(job.examples)):
        tokens, answer = [*each.prompt, *each.completion], list(each.completion)
        labels = [batches.IGNORED] * len(each.prompt) + answer
        rows.append(
            {"input_ids": tokens, "attention_mask": [1] * len(tokens), "labels": labels}
            | {"number": number}
        )
    collator = DataCollatorForSeq2Seq(Padding())

    def collate(features: list[dict[str, Any]]) -> Any:
        seen.append([row["number"] for row in features])
        return collator([{k: v for k, v in row.items() if k != "number"} for row in features])

    set_seed(job.spec.seed)
    adapted = method.adapt(model, facts(job, method, len(rows) // train.batch_size))
    made = Trainer(
        model=adapted,
        args=TrainingArguments(
            output_dir=str(job.work),
            num_train_epochs=1,
            per_device_train_batch_size=train.batch_size,
            learning_rate=method.learning_rate,
            weight_decay=train.weight_decay,
            max_grad_norm=train.max_grad_norm,
            warmup_steps=train.warmup_ratio,
            bf16=job.spec.precision == "bfloat16",
            use_cpu=machine.device() == "cpu",
            dataloader_pin_memory=machine.device() == "cuda",
            remove_unused_columns=False,
            save_strategy="no",
            disable_tqdm=True,
            report_to="none",
        ),
        train_dataset=rows,
        data_collator=collate,
        callbacks=[Clock()],
    )
    made.remove_callback(PrinterCallback)
    made.train()
    return times, seen


def bare(job: TrainJob, method: Method, model: Any) -> tuple[Times, Sequence[Sequence[int]]]:
    import torch
    from transformers import get_scheduler, set_seed

    assert job.spec.train is not None and job.examples is not None
    train, device = job.spec.train, machine.device()
    examples, steps = read_examples(job.examples), dealt(job)
    ready = [
        {k: v.to(device) for k, v in batches.packed([examples[i] for i in step]).items()}
        for step in steps
    ]
    set_seed(job.spec.seed)
    model = method.adapt(model, facts(job, method, len(steps))).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": train.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=method.learning_rate, fused=True)
    schedule = get_scheduler("linear", optimizer, round(0.03 * len(steps)), len(steps))
    times: Times = []
    for batch in ready:
        with torch.autocast(device, torch.bfloat16, enabled=job.spec.precision == "bfloat16"):
            loss = model(**batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, train.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        times.append(now())
        if len(times) in (WARM_UP, len(ready)):
            synchronize()
            times[-1] = now()
    return times, steps


def facts(job: TrainJob, method: Method, steps: int) -> Training:
    assert job.spec.train is not None
    return training(job.spec.train, method.role, steps=steps, parts=1, batches=lambda: iter(()))


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def synchronize() -> None:
    if machine.device() == "cuda":
        import torch

        torch.cuda.synchronize()


def _float32() -> Any:
    import torch

    return torch.float32


if __name__ == "__main__":
    os.environ.update(
        {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    )
    main()

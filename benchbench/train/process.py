"""The training process: the order of the steps from base model to artefact.

    python -m benchbench.train.process JOB.json

Progress goes to stdout as JSON lines, everything else to stderr; how it ended is written to
``outcome.json`` in the job's work folder. The process lives no longer than its parent.
"""

import json
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchbench import hardware
from benchbench.engines.architecture import Architecture
from benchbench.errors import BenchbenchError, PluginError
from benchbench.method import Method
from benchbench.record import Artefact, Cost, Status
from benchbench.registry import Registry
from benchbench.train import artefact, trainer
from benchbench.train.export import Exporter
from benchbench.train.job import Outcome, Progress, TrainJob, read, write
from benchbench.train.recorder import Diverged, count_parameters

Report = Callable[[Progress], None]


def main() -> None:
    report = _report_to(os.dup(1))
    # What methods and libraries print must not be mistaken for progress.
    os.dup2(2, 1)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    path = Path(sys.argv[1])
    job = read(path, TrainJob)
    if job is None:
        sys.exit(f"{path.name} is not a training job")
    write(job.work / "outcome.json", run(job, report))
    for checkpoint in job.work.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    (job.work / trainer.FROZEN).unlink(missing_ok=True)


def run(job: TrainJob, report: Report) -> Outcome:
    """Train in this process and return how it ended; only an interrupt is raised."""
    try:
        registry = Registry.load(job.no_plugins, job.plugins)
        method = registry.method(job.spec.method)
        if job.origin not in (None, registry.origins["method", method.name]):
            raise PluginError(
                f"the plugin of method {method.name!r} changed while the command ran; run again."
            )
        if reason := method.skip(job.spec.model):
            return _outcome(job, "skipped", reason)
        made = _untuned(job, report) if job.spec.train is None else _trained(job, method, report)
    except Diverged as error:
        return _outcome(job, "diverged", str(error))
    except Exception as error:  # whatever a method or a library raises is how this run ended
        traceback.print_exc()
        status: Status = "out_of_memory" if hardware.is_out_of_memory(error) else "failed"
        return _outcome(job, status, _describe(error, job))
    return _outcome(job, "done", "", *made)


def _untuned(job: TrainJob, report: Report) -> tuple[Cost, Artefact]:
    """Describe the base model as it is; kept apart because it needs none of the training."""
    report(Progress(phase="loading"))
    model, prompts = trainer.load(job)
    base = trainer.logprobs(model, prompts, job.spec.precision)
    artefact.write_reference(job, prompts, base, base)
    return count_parameters(model.requires_grad_(False)), artefact.of_base(job.model)


def _trained(job: TrainJob, method: Method, report: Report) -> tuple[Cost, Artefact]:
    assert job.spec.train is not None
    precision = job.spec.precision
    report(Progress(phase="loading"))
    model, prompts = trainer.load(job)
    # From the model as it came: some methods change the base weights, or start elsewhere.
    base = trainer.logprobs(model, prompts, precision)
    report(Progress(phase="preparing"))
    model, cost = trainer.fit(job, method, model, report)
    report(Progress(phase="exporting", step=cost.steps, steps=cost.steps, loss=cost.final_loss))
    artefact.write_reference(job, prompts, base, trainer.logprobs(model, prompts, precision))
    exporter = Exporter(
        read_base=lambda: trainer.load(job)[0],
        architecture=Architecture.of(job.model),
        prompts=prompts,
        precision=precision,
    )
    return cost, artefact.export(job, method, model, exporter)


def _outcome(
    job: TrainJob,
    status: Status,
    reason: str,
    cost: Cost | None = None,
    made: Artefact | None = None,
) -> Outcome:
    return Outcome(
        run_id=job.spec.id,
        status=status,
        reason=reason,
        cost=cost,
        artefact=made,
        environment=hardware.environment(),
    )


def _describe(error: Exception, job: TrainJob) -> str:
    """Return an error as one line."""
    text = " ".join(str(error).split())
    if not isinstance(error, BenchbenchError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return job.publishable(text)


def _report_to(descriptor: int) -> Report:
    channel = os.fdopen(descriptor, "w", buffering=1)

    def report(progress: Progress) -> None:
        try:
            print(json.dumps(asdict(progress)), file=channel)
        except BrokenPipeError:
            os._exit(1)  # the parent is gone; that is no failure of the training

    return report


def _die_with_parent() -> None:
    """Wait for the end of stdin, whose other end the parent holds, even if it is killed."""
    # Not sys.stdin: its lock, held by this thread, would abort the interpreter's shutdown.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

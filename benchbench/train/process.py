"""The training process: the order of the steps from base model to artefact.

    python -m benchbench.train.process JOB.json

Progress goes to stdout as JSON lines, everything else to stderr; how it ended is written to
``outcome.json`` in the job's work folder. The process lives no longer than its parent.
"""

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from benchbench import machine
from benchbench.checkpoints import export
from benchbench.checkpoints.export import Exporter
from benchbench.checkpoints.parity import Reference
from benchbench.contract.method import Method
from benchbench.errors import BenchbenchError, PluginError, Unsuited
from benchbench.records.record import RunRecord, Status
from benchbench.registry.registry import Registry
from benchbench.train import forgetting, group, resume, trainer
from benchbench.train.job import MEETING, Progress, TrainJob, read, write
from benchbench.train.recorder import Diverged, count_parameters
from benchbench.train.selection import Validation

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
    if rank := group.rank():
        ended = run(job, lambda _: None)
        if ended.status in ("done", "skipped"):
            return
        write(job.work / f"outcome-{rank}.json", ended)
        sys.exit(1)  # the others would wait for this one
    write(job.work / "outcome.json", run(job, report))
    resume.clear(job.work)
    left = (resume.FROZEN, trainer.WHOLE, MEETING)
    for path in (*job.work.glob("best-*"), *(job.work / name for name in left)):
        path.unlink(missing_ok=True)


def run(job: TrainJob, report: Report) -> RunRecord:
    """Train in this process and return how it ended; only an interrupt is raised."""
    try:
        group.join(job.work / MEETING)
        registry = Registry.load(job.no_plugins, job.plugins)
        method = registry.method(job.spec.method)
        if job.origin != registry.origins["method", method.name]:
            raise PluginError(
                f"the plugin of method {method.name!r} changed while the command ran; run again."
            )
        if job.spec.train is None:
            return _untuned(job, report)
        return _trained(job, method, Validation.of(job, registry), report)
    except Unsuited as error:
        return job.record("skipped", str(error))
    except Diverged as error:
        return job.record("diverged", str(error), instabilities=error.instabilities)
    except Exception as error:  # whatever a method or a library raises is how this run ended
        traceback.print_exc()
        status: Status = "out_of_memory" if machine.is_out_of_memory(error) else "failed"
        return job.record(status, _describe(error, job))


def _untuned(job: TrainJob, report: Report) -> RunRecord:
    """Describe the base model as it is; kept apart because it needs none of the training."""
    report(Progress(phase="loading"))
    model, prompts = trainer.load(job)
    base = trainer.logprobs(model, prompts, job.spec.precision)
    Reference(prompts=prompts, base=base, trained=base).write(job.reference)
    cost = count_parameters(model.requires_grad_(False))
    return job.record("done", cost=cost, artefact=export.of_base(job.model))


def _trained(
    job: TrainJob, method: Method, validation: Validation | None, report: Report
) -> RunRecord:
    assert job.spec.train is not None
    precision = job.spec.precision
    report(Progress(phase="loading"))
    model, prompts = trainer.load(job)
    # From the model as it came: some methods change the base weights, or start elsewhere.
    base = trainer.logprobs(model, prompts, precision)
    report(Progress(phase="preparing"))
    remembered = forgetting.loss(job.base, model, precision)
    fitted = trainer.fit(job, method, model, report, validation)
    group.leave()
    if group.rank():
        return job.record("done")  # what follows is for one
    cost = fitted.cost
    report(Progress(phase="exporting", step=cost.steps, steps=cost.steps, loss=cost.final_loss))
    trained = trainer.logprobs(fitted.model, prompts, precision)
    Reference(prompts=prompts, base=base, trained=trained).write(job.reference)
    forgotten = forgetting.loss(job.base, fitted.model, precision) - remembered
    cost = replace(cost, forgetting=forgotten)
    exporter = Exporter(
        read_base=lambda: trainer.load(job)[0],
        base=job.base,
        prompts=prompts,
        precision=precision,
    )
    made = export.export(method, fitted.model, exporter, job.checkpoint)
    return job.record(
        "done",
        cost=cost,
        artefact=made,
        selection=fitted.selection,
        instabilities=fitted.instabilities,
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

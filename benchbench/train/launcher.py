"""Trains in a process of its own: memory is given back, and a crash stays where it happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Lock, Thread

from benchbench import machine
from benchbench.errors import BadParameter, TrainingStopped
from benchbench.plan.plan import Plan
from benchbench.records.record import RunRecord, Status
from benchbench.reporter import Reporter
from benchbench.train import group, trackers
from benchbench.train.job import MEETING, Progress, TrainJob, read, write

KILLS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
"""Ends that somebody or a scheduler chose; a crash has other signals."""


def train(job: TrainJob, progress: Callable[[Progress], None] = lambda _: None) -> RunRecord:
    """Train, or continue where an earlier call was killed, and return how it ended.

    Training dies with this process, however this process dies. A training that had come to its
    end is not repeated: its record is returned. Raises TrainingStopped where somebody ended it.
    """
    if ended := _claim(job):
        return ended
    kills = _oom_kills()
    with job.log.open("ab") as log:
        start = log.tell()
        code = _run_processes(job, log.fileno(), progress)
    # Of a process that a signal ended, the others only say that it is gone.
    ended = None if code < 0 else _ended(job)
    return ended or _death(job, code, start, memory_ran_out=_oom_kills() > kills)


def _ended(job: TrainJob) -> RunRecord | None:
    """Return what was written of the end: by the process that failed first, if one did."""
    written = sorted(job.work.glob("outcome*.json"), key=lambda path: path.stat().st_mtime_ns)
    return read(written[0], RunRecord) if written else None


def _claim(job: TrainJob) -> RunRecord | None:
    """Lay the job down in its folder; return the outcome where it has ended already."""
    known = read(job.work / "job.json", TrainJob)
    if known and (known.spec, known.origin) == (job.spec, job.origin):
        ended = read(job.work / "outcome.json", RunRecord)
        if ended and (ended.status != "done" or job.checkpoint.exists() or not job.spec.train):
            return ended
    else:  # what another run, or other code, left there must not be continued
        shutil.rmtree(job.work, ignore_errors=True)
        job.steps.unlink(missing_ok=True)
    write(job.work / "job.json", job)
    for path in job.work.glob("outcome*.json"):
        path.unlink()
    return None


def _run_processes(job: TrainJob, log: int, progress: Callable[[Progress], None]) -> int:
    """Run a process for each device, relaying the first one's progress.

    Returns 0, or how the one died that the others then could not do without: its exit code,
    negative for a signal.
    """
    (job.work / MEETING).unlink(missing_ok=True)
    with ExitStack() as stack:
        processes = [_start(job, log, rank) for rank in range(job.devices)]
        for process in processes:
            stack.enter_context(process)
        codes: list[int] = []
        lock = Lock()
        watchers = [Thread(target=_watch, args=(p, processes, codes, lock)) for p in processes]
        for watcher in watchers:
            watcher.start()
        try:
            for line in processes[0].stdout or ():
                progress(Progress(**json.loads(line)))
        except BaseException:  # Ctrl-C too: left alive, the child would still write to its folder
            for process in processes:
                process.kill()
            raise
        finally:
            for watcher in watchers:
                watcher.join()
    return min(codes) or max(codes)  # a signal is the cause of what the others then complain of


def _watch(
    process: "subprocess.Popen[str]",
    processes: "Sequence[subprocess.Popen[str]]",
    codes: list[int],
    lock: Lock,
) -> None:
    """Wait for a process. When the first one ends, or any other fails, all have to."""
    code = process.wait()
    with lock:
        if codes or not (code or process is processes[0]):
            return
        codes += [found for p in processes if (found := p.poll()) is not None]
        for other in processes:
            other.kill()


def _start(job: TrainJob, log: int, rank: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "benchbench.train.process", str(job.work / "job.json")],
        stdin=subprocess.PIPE,  # held open: when it closes, the child knows that we are gone
        stdout=log if rank else subprocess.PIPE,
        stderr=log,
        text=True,
        env={
            **trackers.environment(job.trackers, job.folder),  # what the user has set comes after
            **_environment(job.devices),
            **group.environment(rank, job.devices),
        },
        start_new_session=True,  # Ctrl-C is ours to answer
    )


def _environment(devices: int) -> dict[str, str]:
    # No more than asked for: Trainer would spread every batch over all that a process sees.
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = given.split(",") if given is not None else list(map(str, range(devices)))
    # Threads that spin while they wait cost several times the work itself on a shared machine.
    return (
        {"OMP_WAIT_POLICY": "PASSIVE"}
        # This command may itself be one of a group, which is not its trainings' group.
        | {name: value for name, value in os.environ.items() if name not in group.NAMES}
        | {
            "CUDA_VISIBLE_DEVICES": ",".join(visible[:devices]),
            "HF_HUB_OFFLINE": "1",  # PEFT asks the hub for the base model whenever it saves
            "PYTHONHASHSEED": "0",  # PEFT writes sets; in hash order, equal adapters would differ
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
    )


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory; 0 where unknown."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _death(job: TrainJob, code: int, start: int, memory_ran_out: bool) -> RunRecord:
    """Return the record of a process that did not live to write it; TrainingStopped if killed."""
    if code == -signal.SIGKILL and memory_ran_out:
        status: Status = "out_of_memory"
        reason = "memory ran out and the kernel killed the process"
    elif code < 0:
        status, reason = "failed", f"the process died of signal {-code} ({_signal_name(-code)})"
    else:
        status, reason = "failed", f"the process ended with code {code} and no outcome"
    lines = job.log.read_bytes()[start:].decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    reason = job.publishable(
        f"{reason}; {job.log.name} ends with: {last[:300]}" if last else reason
    )
    if status == "failed" and _signal_name(-code) in KILLS:
        raise TrainingStopped(reason)
    return job.record(status, reason, environment={"packages": machine.versions()})


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def train_told(
    job: TrainJob,
    label: str,
    train: Callable[[TrainJob, Callable[[Progress], None]], RunRecord],
    reporter: Reporter,
) -> RunRecord:
    """Have a run trained and tell how it goes and how it ended; raises TrainingStopped."""
    verb = "training" if job.spec.train else "measuring"
    with reporter.bar(f"{verb} {label}", 0) as update:
        record = train(job, lambda p: update(p.step, p.steps, _state(p)))
    for failure in trackers.failures(job.work):
        reporter.say(f"{label}: {failure}")
    if record.status != "done":
        reporter.say(f"{label}: {record.status}: {record.reason}")
    if (kept := record.selection) and record.cost:
        reporter.say(
            f"{label}: weights of step {kept.step} of {record.cost.steps} are kept, which score "
            f"{kept.score:.3f} on the validation samples (untrained {kept.curve[0]:.3f})"
        )
    for found in record.instabilities:
        value = "not a number" if found.value is None else f"{found.value:.3f}"
        reporter.say(f"{label}: {found.kind} at step {found.step} ({value})")
    return record


def _state(progress: Progress) -> str:
    """Say how a training is doing."""
    if progress.score is not None:
        return f"validation {progress.score:.3f}"
    return "" if progress.loss is None else f"loss {progress.loss:.3f}"


def check_devices(devices: int, plan: Plan) -> None:
    """Refuse more devices than there are, or than a batch has samples."""
    count = machine.device_count()
    batch = min((run.spec.train.batch_size for run in plan.runs if run.spec.train), default=devices)
    if count is not None and devices > count:
        raise BadParameter(
            f"--devices is {devices}, but this machine shows {count}; see "
            "CUDA_VISIBLE_DEVICES, or give fewer."
        )
    if devices > batch:
        raise BadParameter(
            f"--devices is {devices}, but a batch has {batch} samples to share; give fewer "
            "devices, or larger batches with --set batch_size=N."
        )

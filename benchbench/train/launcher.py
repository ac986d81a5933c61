"""Trains in a process of its own: memory is given back, and a crash stays where it happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchbench import hardware
from benchbench.train.job import Outcome, Progress, TrainJob, read, write

KILLS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
"""Ends that somebody or a scheduler chose; a crash has other signals."""


def train(job: TrainJob, progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
    """Train, or continue where an earlier call was killed, and return how it ended.

    Training dies with this process, however this process dies. A training that had come to its
    end is not repeated: its outcome is returned.
    """
    if ended := _claim(job):
        return ended
    kills = _oom_kills()
    with job.log.open("ab") as log:
        start = log.tell()
        code = _run_process(job, log.fileno(), progress)
    ended = read(job.work / "outcome.json", Outcome)
    return ended or _death(job, code, start, memory_ran_out=_oom_kills() > kills)


def _claim(job: TrainJob) -> Outcome | None:
    """Lay the job down in its folder; return the outcome where it has ended already."""
    known = read(job.work / "job.json", TrainJob)
    if known and (known.spec, known.origin) == (job.spec, job.origin):
        ended = read(job.work / "outcome.json", Outcome)
        if ended and (ended.status != "done" or job.checkpoint.exists() or not job.spec.train):
            return ended
    elif job.work.exists():
        shutil.rmtree(job.work)  # of another run: its checkpoints must not be continued
    write(job.work / "job.json", job)
    (job.work / "outcome.json").unlink(missing_ok=True)
    return None


def _run_process(job: TrainJob, log: int, progress: Callable[[Progress], None]) -> int:
    """Run the child, relaying its progress; return its exit code, negative for a signal."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "benchbench.train.process", str(job.work / "job.json")],
        stdin=subprocess.PIPE,  # held open: when it closes, the child knows that we are gone
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=_environment(),
        start_new_session=True,  # Ctrl-C is ours to answer
    )
    with process:
        try:
            for line in process.stdout or ():
                progress(Progress(**json.loads(line)))
        except BaseException:  # Ctrl-C too: left alive, the child would still write to its folder
            process.kill()
            raise
    return process.returncode


def _environment() -> dict[str, str]:
    # One device a run: Trainer would spread every batch over all it sees and so change its size.
    device = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    # Threads that spin while they wait cost several times the work itself on a shared machine.
    return (
        {"OMP_WAIT_POLICY": "PASSIVE"}
        | os.environ
        | {
            "CUDA_VISIBLE_DEVICES": device,
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


def _death(job: TrainJob, code: int, start: int, memory_ran_out: bool) -> Outcome:
    """Return the outcome of a process that did not live to write it."""
    if code == -signal.SIGKILL and memory_ran_out:
        status, reason = "out_of_memory", "memory ran out and the kernel killed the process"
    elif code < 0:
        status, reason = "failed", f"the process died of signal {-code} ({_signal_name(-code)})"
    else:
        status, reason = "failed", f"the process ended with code {code} and no outcome"
    lines = job.log.read_bytes()[start:].decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return Outcome(
        run_id=job.spec.id,
        status=status,  # type: ignore[arg-type]
        reason=job.publishable(
            f"{reason}; {job.log.name} ends with: {last[:300]}" if last else reason
        ),
        killed=_signal_name(-code) in KILLS and status == "failed",
        environment={"packages": hardware.versions()},
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"

"""Who does the work of a march: this machine, or wherever it is sent."""

from collections.abc import Callable, Sequence
from typing import Protocol

from benchbench.evaluate.jobs import Job
from benchbench.evaluate.serving import Served, serve
from benchbench.records.record import RunRecord
from benchbench.records.store import Store
from benchbench.reporter import Reporter
from benchbench.train.job import Progress, TrainJob
from benchbench.train.launcher import train


class Executor(Protocol):
    """Trains and serves. Both leave their files where the job and the store say."""

    def train(self, job: TrainJob, progress: Callable[[Progress], None]) -> RunRecord:
        """Train, or go on where an earlier call was stopped, and return how it ended.

        Raises TrainingStopped where somebody ended it, which says nothing of the method.
        """

    def serve(self, jobs: Sequence[Job], store: Store, reporter: Reporter) -> Served:
        """Score jobs that one engine serves; their results are in the store afterwards."""


class ThisMachine:
    """Trains each run in a process of its own, and serves in this one."""

    train = staticmethod(train)
    serve = staticmethod(serve)

"""Shows how far a command is: bars on a terminal, plain lines otherwise; always on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from benchbench.reporter import Reporter, Update

EVERY = 15.0
"""Seconds between two plain lines."""


class PlainReporter:
    """Prints a line now and then, for pipes and log files."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Update]:
        started = last = time.monotonic()
        state = (0, total, "")

        def update(done: int, total: int, note: str) -> None:
            nonlocal last, state
            state = (done, total, note)
            if time.monotonic() - last >= EVERY:
                last = time.monotonic()
                self.say(f"{label}: {done}/{total or '?'} {note}".rstrip())

        self.say(f"{label} …")
        yield update
        done, total, note = state
        count = f"{done}/{total} " if total else ""
        self.say(f"{label}: {count}in {time.monotonic() - started:.1f} s {note}".rstrip())


class BarReporter:
    """Draws progress bars on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Update]:
        from rich import progress

        columns = (
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[note]}", markup=False),
        )
        with progress.Progress(*columns, console=self.console) as bars:
            task = bars.add_task(label, total=total or None, note="")

            def update(done: int, total: int, note: str) -> None:
                bars.update(task, completed=done, total=total or None, note=note)

            yield update


def reporter() -> Reporter:
    """Return what fits where stderr goes."""
    return BarReporter() if sys.stderr.isatty() else PlainReporter(sys.stderr)

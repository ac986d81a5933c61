"""A warden from outside: its process, and the tiers that it can be started under."""

import contextlib
import errno
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from glob import glob
from io import FileIO
from pathlib import Path
from typing import Any, Literal

Tier = Literal["bubblewrap", "landlock"]
TIERS: tuple[Tier, ...] = ("bubblewrap", "landlock")
"""Strongest first."""

HERE = Path(__file__).parent
START = f"import sys; sys.path.append({str(HERE)!r}); from cell.process import main; main()"
LONGEST = 4
"""Times three that a program's processor seconds may take by the clock, on a busy machine."""
PATIENCE = 30.0
"""Seconds that a warden may take beyond a program's own."""


GRACE = 2.0
"""Seconds that a warden has to end by itself once it is told to."""
SCARCE = (
    *map(os.strerror, (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)),
    "MemoryError",
    "not in time",
    "signal 9",
)
"""Words of those whom time, memory, processes or descriptors were too short for."""


class Broken(Exception):
    """A warden could not start, or could not run a program for a reason that is not its own.

    ``passing``: that may be otherwise in a moment, as something was scarce or killed.
    """

    def __init__(self, why: str, *, passing: bool = False) -> None:
        super().__init__(why)
        self.passing = passing or any(words in why for words in SCARCE)


class Warden:
    """A process that runs programs, one after the other."""

    def __init__(self, tier: Tier) -> None:
        python = os.path.realpath(sys.executable)
        command = [*prefix(tier), python, "-s", "-S", "-P", "-c", START, tier]
        try:
            self.process, self.noise = start(command)
        except OSError as error:
            raise Broken(f"it cannot be started: {error.strerror}") from None
        try:
            self.about = self._answer(PATIENCE)
        except BaseException:  # an interrupt too: nobody else would end the process
            self.close()
            raise

    def run(self, program: bytes, seconds: float, memory: int) -> dict[str, str]:
        """Run a program and return the reason and the detail of its verdict."""
        request = {"length": len(program), "seconds": seconds, "memory": memory}
        self._send(json.dumps(request).encode() + b"\n" + program, PATIENCE)
        verdict: dict[str, str] = self._answer(LONGEST * (3 * seconds + 1) + PATIENCE)
        return verdict

    def _send(self, request: bytes, seconds: float) -> None:
        """Write a request, which is longer than a pipe holds if nobody reads it."""
        assert self.process.stdin is not None
        sink = self.process.stdin.fileno()
        os.set_blocking(sink, False)
        rest = memoryview(request)
        for _ in ready(sink, select.POLLOUT, seconds, "took no program"):
            try:
                rest = rest[os.write(sink, rest) :]
            except OSError:
                raise self._ended() from None
            if not rest:
                return

    def _answer(self, seconds: float) -> Any:
        assert self.process.stdout is not None
        source = self.process.stdout.fileno()
        line = b""
        for _ in ready(source, select.POLLIN, seconds, "did not answer"):
            more = os.read(source, 1 << 16)
            line += more
            if not more or line.endswith(b"\n"):
                break
        try:
            answer = json.loads(line)
        except ValueError:
            raise self._ended(line) from None
        if "error" in answer:
            raise Broken(" ".join(answer["error"].split()))
        return answer

    def _ended(self, line: bytes = b"") -> Broken:
        """Return why it gives no answer but perhaps this line: by its last words, if any."""
        self.close()
        status = self.process.returncode
        if not line and (status < 0 or status > 128):  # a signal, also where it is handed on
            return Broken("its process was killed", passing=True)
        said = f"{line.decode('utf-8', 'replace')}\n{self.said}".strip().splitlines()
        return Broken(said[-1]) if said else Broken("its process ended", passing=True)

    def dismiss(self) -> None:
        """Tell the process to end: there are no more requests, and nobody hears its answers."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def close(self) -> None:
        """End the process, and with it a program that still runs.

        It ends by itself, for then it has waited for its own children: PID 1, which orphans are
        left to, waits for none in many a container.
        """
        if self.process.returncode is not None:
            return
        self.dismiss()
        self._signal(signal.SIGCONT)  # one that was stopped would not hear of it
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()
        with self.noise:
            self.noise.seek(max(0, os.fstat(self.noise.fileno()).st_size - 4096))
            self.said = self.noise.read().decode("utf-8", "replace")

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # gone, where the caller ignores SIGCHLD
            os.killpg(self.process.pid, number)


def start(command: list[str]) -> tuple[subprocess.Popen[bytes], FileIO]:
    """Start a process; return it and the file of what it says beside its answers.

    No pipe, which would be full one day; and not among the answers, which a warning would spoil.
    """
    noise = FileIO(os.memfd_create("noise"))
    try:
        process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            env={},
            start_new_session=True,  # an interrupt from the keyboard is for us
        )
    except OSError:
        noise.close()
        raise
    return process, noise


def ready(descriptor: int, event: int, seconds: float, late: str) -> Iterator[None]:
    """Yield whenever a descriptor is ready, for so many seconds; then Broken says what is late."""
    poll = select.poll()
    poll.register(descriptor, event)
    deadline = time.monotonic() + seconds
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        yield
    raise Broken(f"it {late} within {seconds:.0f} s", passing=True)


def prefix(tier: Tier) -> list[str]:
    """Return the command that a warden of this tier is started by."""
    if not sys.platform.startswith("linux"):
        raise Broken("only Linux has it")
    if tier == "landlock":
        return []
    found = shutil.which("bwrap")
    if found is None:
        raise Broken("bwrap is not installed")
    return [found, *view()]


@cache
def view() -> tuple[str, ...]:
    """Return bubblewrap's arguments: a file tree of the system and this Python alone, read-only.

    No ``--die-with-parent``: it means the thread that started it, and a pool's threads come and go.
    The warden ends when its requests do. It is PID 1 in there, for bubblewrap does not wait for one
    of its own; no ``--new-session``, for it is started in one, and its group is to stay one.
    """
    options = ["--unshare-all", "--as-pid-1", "--cap-drop", "ALL", "--clearenv"]
    python = os.path.realpath(sys.base_prefix)
    for folder in ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", python):
        options += ["--ro-bind-try", folder, folder]
    packages = {
        os.path.realpath(folder)
        for root in ("/usr", "/usr/local", python)
        for folder in glob(f"{root}/lib*/python3*/*-packages")
    }
    for folder in sorted(packages):
        options += ["--tmpfs", folder]
    options += ["--ro-bind", str(HERE), str(HERE)]  # which may lie within one of them
    for folder in sorted(packages):
        options += ["--remount-ro", folder]
    return (*options, "--dev", "/dev", "--remount-ro", "/", "--chdir", "/")

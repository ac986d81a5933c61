"""A warden from outside: its process, and the tiers that it can be started under."""

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from functools import cache
from glob import glob
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


class Broken(Exception):
    """A warden could not start, or could not run a program for a reason that is not its own."""


class Warden:
    """A process that runs programs, one after the other."""

    def __init__(self, tier: Tier) -> None:
        python = os.path.realpath(sys.executable)
        try:
            self.process = subprocess.Popen(
                [*prefix(tier), python, "-s", "-S", "-P", "-c", START, tier],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,  # an answer that is no JSON says what went wrong
                env={},
                start_new_session=True,  # an interrupt from the keyboard is for us
            )
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
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n" + program)
            self.process.stdin.flush()
        except OSError:
            raise Broken("its process ended") from None
        verdict: dict[str, str] = self._answer(LONGEST * (3 * seconds + 1) + PATIENCE)
        return verdict

    def _answer(self, seconds: float) -> Any:
        assert self.process.stdout is not None
        source = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(source, select.POLLIN)
        deadline = time.monotonic() + seconds
        line = b""
        while not line.endswith(b"\n"):
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise Broken(f"it did not answer within {seconds:.0f} s")
            more = os.read(source, 1 << 16)
            if not more:
                break
            line += more
        try:
            answer = json.loads(line)
        except ValueError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
            self.process.kill()
            line += self.process.stdout.read()
            said = line.decode("utf-8", "replace").strip().splitlines() or ["its process ended"]
            raise Broken(said[-1]) from None
        if "error" in answer:
            raise Broken(" ".join(answer["error"].split()))
        return answer

    def close(self) -> None:
        """End the process; a program that still runs is killed with it."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # what was not sent any more
                pipe.close()
        self.process.wait()


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
    The warden ends when its requests do.
    """
    options = ["--unshare-all", "--new-session", "--cap-drop", "ALL", "--clearenv"]
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

"""Runs programs that nobody has read: models' answers to coding tasks.

A program runs in a Python of its own, confined by the kernel, under one of two tiers:

- ``landlock``: Landlock lets it open Python's standard library for reading and nothing else (it
  can see that other files are there, and how long they are, and not what is in them); a
  list of system calls refuses processes, threads, sockets, signals to others and whatever changes
  a file; limits hold memory and time; namespaces of its own where the kernel allows them.
- ``bubblewrap``: the same within a file tree that holds nothing but the system and Python, so that
  other files cannot even be named. Where the kernel has no Landlock, that tree stands for it.

Where neither holds nothing runs: there is no unprotected mode.

A program passes if it comes to its end; its last lines are the tests. The end is told by a random
number that the program is never shown, so exit codes, prints and writing to open files prove
nothing. What cannot be prevented, because tests and answer share one process: answers may replace
what the tests use (an object equal to everything, ``builtins.abs``, the test function itself), and
native code, e.g. by forged bytecode, could find the number in memory. That cheats on a score; it
does not get out.

Scores do not depend on the tier. A program differs from one outside in that it has no threads, no
ctypes, no file to write to, no installed packages, and hashes that are the same in every run.
"""

from dataclasses import dataclass
from typing import Literal, cast

from benchbench.errors import SandboxUnavailable
from benchbench.sandbox.pool import strongest, tiers, wardens
from benchbench.sandbox.warden import TIERS, Broken, Tier

__all__ = ["TIERS", "Tier", "Verdict", "run", "tier", "tiers"]

MOST_SECONDS = 3600
LEAST_MEMORY = 1 << 20

Reason = Literal["passed", "failed", "timeout", "memory"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a program ended."""

    reason: Reason
    detail: str = ""
    """The error, at most 300 characters; these are the program's own words."""

    @property
    def passed(self) -> bool:
        return self.reason == "passed"


def tier() -> Tier:
    """Return the tier that programs run under on this machine, or raise SandboxUnavailable."""
    return strongest()


def run(
    program: str, *, seconds: float = 3.0, memory: int = 1 << 30, under: Tier | None = None
) -> Verdict:
    """Run a program to its end; called from many threads at once.

    ``seconds`` of processor time (whole ones: the kernel rounds up), and thrice that by the clock,
    or up to four times as much while it gets little of a busy machine; ``memory`` in bytes of
    address space; ``under`` a tier instead of the strongest. Raises ValueError for other values.
    """
    if not 0 < seconds <= MOST_SECONDS or memory < LEAST_MEMORY or under not in (None, *TIERS):
        raise ValueError(
            f"seconds={seconds}, memory={memory}, under={under!r}: it takes up to {MOST_SECONDS} "
            f"seconds, {LEAST_MEMORY} bytes or more, and one of {', '.join(TIERS)}"
        )
    source = program.encode("utf-8", "surrogatepass")
    chosen = under or strongest()
    try:
        answer = _ask(chosen, source, seconds, memory)
    except Broken:
        # Once more with a new warden, as the other may have been killed from outside.
        try:
            answer = _ask(chosen, source, seconds, memory)
        except Broken as error:
            raise SandboxUnavailable(
                f"the sandbox ({chosen}) broke twice while it ran one program: {error}; run the "
                "command again, with more memory if that is scarce."
            ) from None
    detail = "".join(each if each.isprintable() else " " for each in answer["detail"])
    return Verdict(reason=cast(Reason, answer["reason"]), detail=detail[:300])


def _ask(tier: Tier, source: bytes, seconds: float, memory: int) -> dict[str, str]:
    with wardens.warden(tier) as warden:
        return warden.run(source, seconds, memory)

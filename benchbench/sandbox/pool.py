"""The wardens of this process, and which tier they can be started under."""

import atexit
import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain

from benchbench.errors import SandboxUnavailable
from benchbench.sandbox.warden import TIERS, Broken, Tier, Warden


class Pool:
    """Idle wardens, each for one program at a time; as many work at once as there are processors.

    More would only make programs late.
    """

    def __init__(self) -> None:
        affinity = getattr(os, "sched_getaffinity", None)
        self.turns = threading.BoundedSemaphore(len(affinity(0)) if affinity else 1)
        self.lock = threading.Lock()
        self.idle: dict[Tier, list[Warden]] = defaultdict(list)

    @contextmanager
    def warden(self, tier: Tier) -> Iterator[Warden]:
        """Lend a warden; it is kept for the next one unless something went wrong."""
        with self.turns:
            with self.lock:
                idle = self.idle[tier]
                warden = idle.pop() if idle else None
            warden = warden or Warden(tier)
            try:
                yield warden
            except BaseException:  # an interrupt too: what it was asked is half done
                warden.close()
                raise
            with self.lock:
                self.idle[tier].append(warden)

    def close(self) -> None:
        with self.lock:
            idle, self.idle = self.idle, defaultdict(list)
        for warden in chain(*idle.values()):
            warden.dismiss()
        for warden in chain(*idle.values()):
            warden.close()


wardens = Pool()
atexit.register(wardens.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: renew())

ESCAPES = """
import os, socket

def refused(attempt, *arguments):
    try:
        attempt(*arguments)
    except OSError:
        return True

assert refused(open, {path!r})
assert refused(open, {path!r}, "a")
assert refused(os.unlink, {path!r})
assert refused(os.open, {path!r} + ".new", os.O_CREAT | os.O_WRONLY)
assert refused(os.fork)
assert refused(os.kill, {pid}, 0)
assert refused(os.execv, "/bin/true", ["true"])
assert refused(socket.socket)
"""


@cache
def obstacle(tier: Tier) -> str | None:
    """Try a tier: return None if it holds, or why it does not on this machine.

    What may be otherwise in a moment is tried again, and then refused rather than remembered: a
    weaker tier must not stand in for the rest of the process because memory was short once.
    """
    why = ""
    for _ in range(2):
        try:
            return trial(tier)
        except Broken as error:
            why = str(error)
            if not error.passing:
                return why
    raise SandboxUnavailable(
        f"whether the sandbox's tier {tier} holds here could not be found out ({why}); run the "
        "command again when the machine is less busy, or with more memory."
    )


def trial(tier: Tier) -> str | None:
    """Let a program try to get out; return None if it did not, or what it says."""
    try:
        descriptor, path = tempfile.mkstemp()
    except OSError as error:
        raise SandboxUnavailable(
            "the sandbox is tried on a file that no program may reach, and there is no folder to "
            f"put it in ({error.strerror}); set TMPDIR to a folder that can be written to."
        ) from None
    os.close(descriptor)
    try:
        with wardens.warden(tier) as warden:
            program = ESCAPES.format(path=path, pid=os.getpid()).encode()
            verdict = warden.run(program, 5, 1 << 30)
    finally:
        for left in (path, f"{path}.new"):  # a tier that does not hold may have changed either
            with suppress(OSError):
                os.unlink(left)
    if verdict["reason"] in ("timeout", "memory"):
        raise Broken(f"the trial's {verdict['reason']}: {verdict['detail']}", passing=True)
    return None if verdict["reason"] == "passed" else f"it does not hold: {verdict['detail']}"


_probing = threading.Lock()


def renew() -> None:
    """Begin anew in a forked child: its parent's wardens and locks are not its own."""
    global _probing
    wardens.__init__()  # type: ignore[misc]
    _probing = threading.Lock()


def tiers() -> tuple[Tier, ...]:
    """Return the tiers that hold on this machine, strongest first."""
    with _probing:
        return tuple(tier for tier in TIERS if obstacle(tier) is None)


def strongest() -> Tier:
    """Return the strongest tier that holds on this machine, or refuse."""
    with _probing:
        for tier in TIERS:
            if obstacle(tier) is None:
                return tier
        why = "; ".join(f"{tier}: {obstacle(tier)}" for tier in TIERS)
    raise SandboxUnavailable(
        f"programs written by models cannot be confined here ({why}); use Linux 5.13 or newer with "
        "Landlock, or install bubblewrap (apt-get install bubblewrap) where namespaces are allowed."
    )

"""The warden: starts a confined Python for each program and judges what it says.

Requests come as one line of JSON and then the program, answers go back as one line of JSON. It is a
process of its own, because only a small one without threads may fork; and it starts each program
by exec, so that nothing of its own is in the program's memory.
"""

import contextlib
import ctypes
import fcntl
import hmac
import json
import math
import os
import resource
import select
import signal
import socket
import sys
import time
from typing import Any, NoReturn

from . import landlock, seccomp

ENVIRONMENT = [b"PYTHONHASHSEED=0"]  # so that the order of a set is the same in every run
NAMESPACES = {"user": 0x10000000, "net": 0x40000000, "pid": 0x20000000, "ipc": 0x08000000}
LONGEST = 4096  # bytes of a verdict
TURNS = 4


class Warden:
    """Starts programs, one after the other."""

    def __init__(self, libc: ctypes.CDLL, rules: int | None) -> None:
        self.libc = libc
        self.rules = rules
        python = os.path.realpath(sys.executable)
        with open(os.path.join(os.path.dirname(__file__), "program.py"), encoding="utf-8") as file:
            command = [python, "-s", "-S", "-P", "-B", "-c", file.read()]
        self.path = ctypes.create_string_buffer(os.fsencode(python))
        self.arguments = strings([os.fsencode(each) for each in command])
        self.environment = strings(ENVIRONMENT)

    def judge(self, program: bytes, seconds: float, memory: int) -> dict[str, str]:
        """Run a program to its end, or to its limit."""
        nonce = os.urandom(32)
        source = in_memory(program)
        # No pipe: its reader could be opened again in /proc, and take back what was said.
        heard, told = socket.socketpair()
        heard.sendall(nonce)
        pid = os.fork()
        if not pid:
            self._become_program(source, told.fileno(), seconds, memory)
        os.close(source)
        told.close()
        said, late = listen(heard.fileno(), pid, seconds)
        os.kill(pid, signal.SIGKILL)
        _, status, used = os.wait4(pid, 0)
        heard.close()
        # The kernel counts what it kills for by its ticks, which on a busy machine are far off.
        spent = os.WIFSIGNALED(status) and used.ru_utime + used.ru_stime >= 0.5 * seconds
        return verdict_of(said, nonce, status, late=late or spent)

    def _become_program(self, source: int, told: int, seconds: float, memory: int) -> NoReturn:
        try:
            # First away from the numbers that they are to get.
            source, told, null = away(source), away(told), away(os.open("/dev/null", os.O_RDWR))
            for number, descriptor in enumerate((source, null, told, told)):
                os.dup2(descriptor, number)
            os.setsid()
            os.chdir("/")
            with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
                score.write("1000")  # where memory runs out, this ends and not its caller
            limit(seconds, memory)
            give_up_rights(self.libc)
            if self.rules is not None:
                landlock.confine(self.libc, self.rules)
            seccomp.confine(self.libc, ctypes.addressof(self.path))
            self.libc.execve(self.path, self.arguments, self.environment)
            raise OSError(ctypes.get_errno(), "the interpreter cannot be started")
        except BaseException as error:
            os.write(3, str(error).encode("utf-8", "replace")[:1000])
        finally:
            os._exit(1)


def away(descriptor: int) -> int:
    """Return a copy whose number is none of those a program is given."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20)


def strings(texts: list[bytes]) -> Any:
    """Return a C array of strings that ends in NULL."""
    return (ctypes.c_char_p * (len(texts) + 1))(*texts, None)


def in_memory(program: bytes) -> int:
    """Return a file to read the program from; a pipe would block on a long one."""
    source = os.memfd_create("program")
    with open(source, "wb", closefd=False) as file:
        file.write(program)
    os.lseek(source, 0, os.SEEK_SET)
    return source


def limit(seconds: float, memory: int) -> None:
    """Set the limits that hold for the process, down to no byte written to any file."""
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: math.ceil(seconds),
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def give_up_rights(libc: ctypes.CDLL) -> None:
    """Give up root's rights, and every way to get some by executing a file."""
    libc.prctl(28, 3, 0, 0, 0)  # PR_SET_SECUREBITS: user 0 is nobody special; only root may ask
    header = ctypes.create_string_buffer((0x20080522).to_bytes(4, sys.byteorder) + bytes(4))
    if libc.capset(header, bytes(24)):
        raise OSError(ctypes.get_errno(), "capabilities cannot be given up")
    if libc.prctl(38, 1, 0, 0, 0):  # PR_SET_NO_NEW_PRIVS
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def listen(heard: int, pid: int, seconds: float) -> tuple[bytes, bool]:
    """Return what was said until the end or the deadline, and whether that was the deadline.

    That is three times the processor time, as other processes share the machine; a program that got
    little of it so far and still runs is given as much again, ``TURNS`` times at most. It also ends
    where nobody waits for an answer any more.
    """
    said = b""
    turns, used = 1, 0.0
    deadline = time.monotonic() + 3 * seconds + 1
    poll = select.poll()
    poll.register(heard, select.POLLIN)
    poll.register(0, 0)  # which still tells of a hang-up
    while len(said) <= LONGEST:
        ready = dict(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
        if 0 in ready:
            return said, True
        if not ready:
            before, used = used, time.clock_gettime(~pid << 3 | 2)  # processor time of a process
            if turns == TURNS or not 0.1 * seconds < used - before < seconds:
                return said, True
            turns, deadline = turns + 1, deadline + 3 * seconds + 1
            continue
        try:
            more = os.read(heard, LONGEST)
        except ConnectionResetError:  # it ended without having taken the nonce
            break
        if not more:
            break
        said += more
    return said, False


def verdict_of(said: bytes, nonce: bytes, status: int, late: bool) -> dict[str, str]:
    """Judge what was said; only the nonce passes, and what did not begin is no verdict."""
    if not said.startswith(b"+"):
        end = "not in time" if late else said.decode("utf-8", "replace") or ending(status)
        return {"error": f"the interpreter did not start ({end})"}
    if hmac.compare_digest(said[1:], nonce):
        return {"reason": "passed", "detail": ""}
    reason, _, detail = said[1:].decode("utf-8", "replace").partition(":")
    if reason in ("failed", "memory"):
        return {"reason": reason, "detail": detail}
    if late:
        return {"reason": "timeout", "detail": "it did not end in time"}
    return {"reason": "failed", "detail": f"it ended before its last line: {ending(status)}"}


def ending(status: int) -> str:
    """Say how a process ended."""
    code = os.waitstatus_to_exitcode(status)
    return f"exit status {code}" if code >= 0 else f"signal {-code}"


def separate(libc: ctypes.CDLL) -> list[str]:
    """Move into namespaces of our own where the kernel allows it, and return their kinds."""
    for kinds in (list(NAMESPACES), list(NAMESPACES)[1:]):
        if not libc.unshare(sum(NAMESPACES[kind] for kind in kinds)):
            inside = os.fork()  # only children are in the new namespace of processes
            if inside:
                os._exit(os.waitstatus_to_exitcode(os.waitpid(inside, 0)[1]) & 0xFF)
            libc.prctl(1, signal.SIGKILL, 0, 0, 0)
            return kinds
    return []


def answer(reply: dict[str, Any]) -> None:
    os.write(1, json.dumps(reply).encode() + b"\n")


def main() -> None:
    # The caller's settings outlive exec: ignored, children could not be waited for; blocked, a
    # program's own alarms would not ring.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    kinds = separate(libc)
    known = landlock.version(libc)
    if not known and sys.argv[1] == "landlock":
        answer({"error": "this kernel has no Landlock"})
        return
    warden = Warden(libc, away(landlock.rules(libc)) if known else None)
    answer({"namespaces": kinds, "landlock": known})
    with open(0, "rb") as requests:
        while line := requests.readline():
            request = json.loads(line)
            program = requests.read(request["length"])
            if len(program) < request["length"]:
                return  # the caller gave up
            answer(warden.judge(program, request["seconds"], request["memory"]))

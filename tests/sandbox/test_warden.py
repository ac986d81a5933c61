"""The sandbox's processes: what becomes of them, and of those that wait for them."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchbench.sandbox import Tier, warden
from benchbench.sandbox.pool import wardens
from benchbench.sandbox.warden import Warden
from tests.toys.sandboxed import run


def test_a_warden_that_dies_is_replaced(tier: Tier) -> None:
    killed = []

    def kill_them() -> None:
        time.sleep(0.3)
        for each in lent:
            each.process.kill()
            killed.append(each)

    lent: list[Any] = []
    with wardens.warden(tier) as one:
        lent.append(one)
    thread = threading.Thread(target=kill_them)
    thread.start()
    verdict = run("import time; time.sleep(1)", tier)
    thread.join()
    assert killed
    assert verdict.passed


def below(root: int) -> set[int]:
    """Return a process and all that descend from it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return found


@pytest.fixture
def frozen(tier: Tier) -> Iterator[set[int]]:
    """The processes of the only warden there is, which are stopped."""
    wardens.close()
    run("pass", tier)
    (idle,) = wardens.idle[tier]
    processes = below(idle.process.pid)
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    yield processes
    for each in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def test_a_frozen_warden_is_replaced(
    tier: Tier, frozen: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warden, "PATIENCE", 5.0)
    with ThreadPoolExecutor(1) as threads:
        verdict = threads.submit(run, f"x = '{'x' * 1_000_000}'", tier)
        try:
            assert verdict.result(timeout=30).passed
        finally:  # else a thread that hangs would be waited for
            for each in frozen & below(os.getpid()):
                os.kill(each, signal.SIGKILL)
    assert not [each for each in frozen if Path(f"/proc/{each}").exists()]


def test_one_that_cannot_end_by_itself_is_killed(
    tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warden, "GRACE", 0.2)
    deaf = "import cell.process as p; p.Warden.judge = lambda *_: p.time.sleep(99); p.main()"
    monkeypatch.setattr(warden, "START", warden.START.partition("from cell")[0] + deaf)
    one = Warden(tier)
    one._send(b'{"length": 0, "seconds": 1, "memory": 0}\n', 5)
    processes = below(one.process.pid)
    time.sleep(0.2)
    one.close()
    deadline = time.monotonic() + 5
    while processes & below(1) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes & below(1)


def test_half_a_program_is_not_run(tier: Tier) -> None:
    one = Warden(tier)
    one._send(b'{"length": 99, "seconds": 1, "memory": 1}\npass', 5)
    one.close()
    assert (one.process.returncode, one.said) == (0, "")


def test_what_is_said_beside_the_answers_does_not_spoil_them(
    tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    wardens.close()
    noisy = (
        "import os; from cell import process; answer = process.answer\n"
        "def aloud(reply): os.write(2, b'careful!\\n' * 50_000); answer(reply)\n"
        "process.answer = aloud; process.main()"
    )
    monkeypatch.setattr(warden, "START", warden.START.partition("from cell")[0] + noisy)
    assert run("pass", tier).passed
    assert run("assert 1 == 2, 'no'", tier).detail == "AssertionError: no"
    wardens.close()


HARM = {
    "none": "",
    "an interrupt": """
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
    sandbox.run("while True: pass", seconds=60, under=TIER)
except KeyboardInterrupt:
    pass
""",
    "frozen": """
for each in below(wardens.idle[TIER][0].process.pid):
    os.kill(each, signal.SIGSTOP)
""",
}


@pytest.mark.parametrize("harm", HARM)
def test_nobody_else_has_to_wait_for_our_processes(harm: str, tier: Tier) -> None:
    """PID 1 of a container often waits for no orphans; here they come to one that does not."""
    code = f"""
import ctypes, os, signal
from benchbench import sandbox
from benchbench.sandbox.pool import wardens
from tests.sandbox.test_warden import below
TIER = {tier!r}
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
assert sandbox.run("pass", under=TIER).passed
assert len(below(os.getpid())) > 1
{HARM[harm]}
wardens.close()
assert below(os.getpid()) == {{os.getpid()}}
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_no_process_outlives_its_program(tier: Tier) -> None:
    run("import time; time.sleep(99)", tier)
    wardens.close()
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    if not children.exists():
        pytest.skip("this kernel lists no children")
    names = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children.read_text().split()]
    assert not [name for name in names if b"cell.process" in name]


def test_a_forked_child_does_not_share_our_wardens(tier: Tier) -> None:
    run("pass", tier)
    program = (
        "import os, sys\n"
        "from benchbench import sandbox\n"
        "from benchbench.sandbox.pool import wardens\n"
        f"assert sandbox.run('pass', under={tier!r}).passed\n"
        f"assert wardens.idle[{tier!r}]\n"
        "pid = os.fork()\n"
        "if not pid: os._exit(len(wardens.idle))\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_program_ends_with_its_caller(tier: Tier) -> None:
    code = (
        "from benchbench import sandbox\n"
        f"sandbox.run('pass', under={tier!r}); print(flush=True)\n"
        f"sandbox.run('while True: pass  # {{}}', seconds=60, under={tier!r})\n"
    )
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert caller.stdout is not None
    caller.stdout.readline()
    time.sleep(0.5)
    before = busy()
    assert before
    caller.kill()
    caller.wait()
    caller.stdout.close()
    deadline = time.monotonic() + 5
    while busy() & before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not busy() & before


def busy() -> set[int]:
    """Return the processes that run a program of ours, which have no other such argument."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"Runs one program and says whether" in path.read_bytes():
                found.add(int(path.parent.name))
    return found

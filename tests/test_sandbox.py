"""The sandbox, under every tier that holds on this machine."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pluggy
import pytest

from benchbench import sandbox
from benchbench.errors import SandboxUnavailable
from benchbench.sandbox import Tier, warden
from benchbench.sandbox.pool import obstacle, wardens
from benchbench.sandbox.warden import Broken
from tests import hostile_programs as hostile

MEMORY = 256 << 20


@pytest.fixture(params=sandbox.TIERS)
def tier(request: pytest.FixtureRequest) -> Tier:
    why = obstacle(request.param)
    if why is not None:
        pytest.skip(f"no {request.param} here: {why}")
    found: Tier = request.param
    return found


def run(program: str, tier: Tier) -> sandbox.Verdict:
    return sandbox.run(program, seconds=1, memory=MEMORY, under=tier)


class Outside:
    """A file and listeners of ours, which no program should reach."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.victim = folder / "victim"
        self.victim.write_text("precious")
        self.before = self.victim.stat()
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(self.tcp.getsockname())
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(folder / "socket"))
        self.unix.listen()
        self.mail = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.mail.bind(str(folder / "mail"))
        for listener in self.listeners:
            listener.setblocking(False)

    @property
    def listeners(self) -> tuple[socket.socket, ...]:
        return self.tcp, self.udp, self.unix, self.mail

    def fill(self, program: str) -> str:
        names = {
            "VICTIM": self.victim,
            "FOLDER": self.folder,
            "SOCKET": self.folder / "socket",
            "MAIL": self.folder / "mail",
            "PORT": self.tcp.getsockname()[1],
            "PID": os.getpid(),
            "PACKAGE": pluggy.__file__,
            "SITE": Path(pluggy.__file__).parents[1],
        }
        return re.sub("|".join(names), lambda name: str(names[name[0]]), program)

    def check(self) -> None:
        after = self.victim.stat()
        kept = ("st_mode", "st_uid", "st_size", "st_mtime_ns", "st_nlink", "st_ino")
        assert [getattr(after, each) for each in kept] == [
            getattr(self.before, each) for each in kept
        ]
        assert self.victim.read_text() == "precious"
        assert {each.name for each in self.folder.iterdir()} == {"victim", "socket", "mail"}
        for listener in self.listeners:
            with pytest.raises(BlockingIOError):
                listener.recv(9) if listener in (self.udp, self.mail) else listener.accept()

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    made = Outside(tmp_path_factory.mktemp("outside"))
    yield made
    made.close()


def test_some_tier_holds_here() -> None:
    # The one that must not skip: a run in CI that confines nothing would test nothing.
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux confines programs")
    assert sandbox.tiers(), {tier: obstacle(tier) for tier in sandbox.TIERS}
    assert sandbox.tier() == sandbox.tiers()[0]


ESCAPES = hostile.FILES | hostile.NETWORK | hostile.PROCESSES
WEAKER = {
    "landlock": "separate = lambda _: []",  # where namespaces are not allowed
    "bubblewrap": "landlock.version = lambda _: 0",  # where the kernel has no Landlock
}


@pytest.mark.parametrize("name", hostile.MODULES)
def test_no_program_gets_at_native_code(name: str, tier: Tier) -> None:
    assert run(hostile.MODULES[name], tier).reason == "failed"


@pytest.fixture(params=["whole", "weakened"])
def strength(
    request: pytest.FixtureRequest, tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    if request.param == "whole":
        yield
        return
    wardens.close()
    start = f"from cell import process; process.{WEAKER[tier]}; process.main()"
    monkeypatch.setattr(warden, "START", warden.START.partition("from cell")[0] + start)
    yield
    wardens.close()


@pytest.mark.parametrize("name", ESCAPES)
def test_no_program_gets_out(
    name: str,
    tier: Tier,
    strength: None,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENCHBENCH_SECRET", "secret")
    verdict = run(outside.fill(ESCAPES[name]), tier)
    assert verdict.reason in ("failed", "timeout"), verdict
    assert "SyntaxError" not in verdict.detail
    outside.check()
    assert run("pass", tier).passed


@pytest.mark.parametrize("name", hostile.RESOURCES)
def test_no_program_takes_the_run_down(name: str, tier: Tier) -> None:
    started = time.monotonic()
    verdict = sandbox.run(hostile.RESOURCES[name], seconds=0.3, memory=MEMORY, under=tier)
    assert not verdict.passed
    assert len(verdict.detail) <= 300
    assert time.monotonic() - started < 10  # 3 * 0.3 + 1 by the clock, and a busy machine
    assert run("pass", tier).passed


def with_a_failing_test(program: str) -> str:
    program = f"{program}\nassert 1 == 2\nLAST = 0\n"
    return program.replace("LAST\n", f"{program.count(chr(10))}\n", 1)


@pytest.mark.parametrize("name", hostile.VERDICTS)
def test_no_program_forges_its_verdict(name: str, tier: Tier) -> None:
    verdict = run(with_a_failing_test(hostile.VERDICTS[name]), tier)
    assert verdict.reason in ("failed", "timeout"), verdict
    assert "SyntaxError" not in verdict.detail
    assert run("pass", tier).passed


@pytest.mark.parametrize("name", ["jump over the tests", "jump in a debugger"])
def test_the_programs_that_jump_would_jump_outside(name: str, tmp_path: Path) -> None:
    # Else the sandbox would get the credit for a program that does not work.
    path = tmp_path / "program.py"
    path.write_text(with_a_failing_test(hostile.VERDICTS[name]))
    outside = subprocess.run([sys.executable, path], capture_output=True)
    assert outside.returncode == 0, outside.stderr


@pytest.mark.parametrize("name", hostile.CHEATS)
def test_answers_that_change_the_tests_cannot_be_told_from_right_ones(
    name: str, tier: Tier, outside: Outside
) -> None:
    # In principle: tests and answers share one process. This shows that the limit is known.
    assert run(hostile.CHEATS[name], tier).passed
    outside.check()


@pytest.mark.parametrize(
    ("program", "reason", "detail"),
    [
        ("", "passed", ""),
        ("x = 'кот 猫 🐈'\nassert len(x) == 7", "passed", ""),
        ("кот = 1\nassert кот", "passed", ""),
        ("\ufeff", "failed", "SyntaxError: invalid non-printable"),
        ("x = 1\n" * 1000, "passed", ""),
        ("def f(:", "failed", "SyntaxError: invalid syntax"),
        ("x = 1\0", "failed", "(Value|Syntax)Error: source code string cannot contain null bytes"),
        ("x = '\ud800'", "failed", "UnicodeEncodeError: 'utf-8' codec can't encode"),
        ("raise ValueError('кот')", "failed", "ValueError: кот"),
        ("raise ValueError('a\\nb\\x1b[31m')", "failed", r"ValueError: a b \[31m$"),
        ("assert 1 == 2, 'no'", "failed", "AssertionError: no"),
        ("bytearray(1 << 40)", "memory", "out of memory"),
        ("while True: pass", "timeout", "it did not end in time"),
        ("import os; os._exit(3)", "failed", "it ended before its last line: exit status 3"),
        ("import faulthandler; faulthandler._sigsegv()", "failed", "it ended before .* signal 11"),
        ("if __name__ == '__main__': raise ValueError", "passed", ""),
        ("import asyncio\nasyncio.run(asyncio.sleep(0))", "passed", ""),
        (
            "from dataclasses import dataclass\n@dataclass\nclass A:\n x: 'int' = 1\nassert A().x",
            "passed",
            "",
        ),
        ("import re, math, heapq, collections, itertools, typing, random, json", "passed", ""),
        ("import hashlib; hashlib.md5(b'x')\nimport decimal, datetime, zoneinfo", "passed", ""),
        ("open('/dev/null', 'w').write('x')", "passed", ""),
        ("import sys, io; sys.stdout = io.StringIO(); print(1)", "passed", ""),
    ],
)
def test_verdicts(program: str, reason: str, detail: str, tier: Tier) -> None:
    verdict = run(program, tier)
    assert verdict.reason == reason, verdict
    assert verdict.passed == (reason == "passed")
    assert re.match(detail, verdict.detail)
    assert reason != "passed" or not verdict.detail


def test_a_program_of_10_mb_is_judged_in_seconds(tier: Tier) -> None:
    started = time.monotonic()
    text = "x" * 10_000_000
    assert run(f"x = '{text}'\nassert len(x) == 10_000_000", tier).passed
    assert run(f"{text}\nassert True", tier).reason == "failed"
    assert time.monotonic() - started < 10


def test_the_order_of_a_set_is_the_same_in_every_run(tier: Tier) -> None:
    program = "raise ValueError(list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}))"
    assert len({run(program, tier).detail for _ in range(5)}) == 1


def test_memory_is_what_was_asked_for(tier: Tier) -> None:
    program = "x = bytearray(400 << 20)"
    assert sandbox.run(program, memory=1 << 30, under=tier).passed
    assert sandbox.run(program, memory=300 << 20, under=tier).reason == "memory"


def test_too_little_memory_to_start_in_is_no_verdict(tier: Tier) -> None:
    with pytest.raises(SandboxUnavailable, match=r"broke twice .*did not start"):
        sandbox.run("pass", memory=1 << 20, under=tier)


def test_many_threads_at_once_get_their_own_verdicts(tier: Tier) -> None:
    def judge(number: int) -> tuple[str, str]:
        verdict = run(f"assert {number} % 2, 'even {number}'", tier)
        return verdict.reason, verdict.detail

    with ThreadPoolExecutor(16) as threads:
        verdicts = list(threads.map(judge, range(200)))
    assert verdicts[1::2] == [("passed", "")] * 100
    even = [("failed", f"AssertionError: even {number}") for number in range(0, 200, 2)]
    assert verdicts[0::2] == even


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


@pytest.fixture
def fresh_probes(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    wardens.close()
    obstacle.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    wardens.close()
    obstacle.cache_clear()


def test_nothing_runs_where_no_tier_holds(fresh_probes: pytest.MonkeyPatch) -> None:
    class Missing:
        def __init__(self, tier: Tier) -> None:
            raise Broken(f"no {tier} today")

    fresh_probes.setattr("benchbench.sandbox.pool.Warden", Missing)
    assert sandbox.tiers() == ()
    with pytest.raises(SandboxUnavailable) as error:
        sandbox.run("pass")
    assert str(error.value) == (
        "programs written by models cannot be confined here (bubblewrap: no bubblewrap today; "
        "landlock: no landlock today); use Linux 5.13 or newer with Landlock, or install "
        "bubblewrap (apt-get install bubblewrap) where namespaces are allowed."
    )


def test_a_tier_that_does_not_hold_is_not_used(fresh_probes: pytest.MonkeyPatch) -> None:
    # A warden that confines nothing: the probe opens the file, and fails to be refused.
    plain = (
        "import json, sys; print('{}', flush=True)\n"
        "request = json.loads(sys.stdin.buffer.readline())\n"
        "try: exec(sys.stdin.buffer.read(request['length'])); answer = 'passed'\n"
        "except AssertionError: answer = 'failed'\n"
        "print(json.dumps({'reason': answer, 'detail': 'AssertionError'}), flush=True)\n"
        "sys.stdin.buffer.readline()"
    )
    fresh_probes.setattr(warden, "START", plain)
    assert obstacle("landlock") == "it does not hold: AssertionError"


def test_a_warden_that_fails_says_why(fresh_probes: pytest.MonkeyPatch) -> None:
    fresh_probes.setattr(warden, "START", "raise ValueError('no luck')")
    assert obstacle("landlock") == "ValueError: no luck"
    fresh_probes.setattr("benchbench.sandbox.warden.shutil.which", lambda _: None)
    assert obstacle("bubblewrap") == "bwrap is not installed"


def test_elsewhere_than_linux_nothing_holds(fresh_probes: pytest.MonkeyPatch) -> None:
    fresh_probes.setattr("benchbench.sandbox.warden.sys.platform", "darwin")
    assert {obstacle(tier) for tier in sandbox.TIERS} == {"only Linux has it"}


def test_what_honest_programs_say_to_debuggers_and_exits_is_heard(tier: Tier) -> None:
    program = """
import sys, doctest
def double(x):
    '''
    >>> double(2)
    4
    '''
    return 2 * x
sys.settrace(None)
doctest.run_docstring_examples(double, globals())
try:
    exit(3)
except SystemExit as end:
    assert end.code == 3
"""
    assert run(program, tier).passed


def test_settings_of_the_caller_do_not_reach_the_program(tier: Tier) -> None:
    """They outlive exec: children that nobody waits for, and signals that are held back."""
    program = """
import signal, time
def late(*_): raise TimeoutError
signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    time.sleep(5)
    assert False
except TimeoutError: pass
"""
    code = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\n"
        "from benchbench import sandbox\n"
        f"verdict = sandbox.run({program!r}, seconds=2, under={tier!r})\n"
        "assert verdict.passed, verdict\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


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


@pytest.mark.parametrize(
    "wrong",
    [{"seconds": 0}, {"seconds": float("nan")}, {"seconds": 1e9}, {"memory": -1}, {"under": "x"}],
)
def test_wrong_limits_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="it takes up to 3600 seconds"):
        sandbox.run("pass", **wrong)  # type: ignore[arg-type]

"""Verdicts on programs, under every tier that holds on this machine."""

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchbench import sandbox
from benchbench.errors import SandboxUnavailable
from benchbench.sandbox import Tier
from tests.toys.sandboxed import run


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


@pytest.mark.parametrize(
    "wrong",
    [{"seconds": 0}, {"seconds": float("nan")}, {"seconds": 1e9}, {"memory": -1}, {"under": "x"}],
)
def test_wrong_limits_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="it takes up to 3600 seconds"):
        sandbox.run("pass", **wrong)  # type: ignore[arg-type]

"""Hostile programs in the sandbox, under every tier that holds on this machine."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pluggy
import pytest

from benchbench import sandbox
from benchbench.sandbox import Tier, warden
from benchbench.sandbox.pool import wardens
from tests.hostile import answers as hostile_answers
from tests.hostile import programs as hostile_programs
from tests.toys.sandboxed import MEMORY, run


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


ESCAPES = hostile_programs.FILES | hostile_programs.NETWORK | hostile_programs.PROCESSES
WEAKER = {
    "landlock": "separate = lambda _: []",  # where namespaces are not allowed
    "bubblewrap": "landlock.version = lambda _: 0",  # where the kernel has no Landlock
}


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


@pytest.mark.parametrize("name", hostile_programs.MODULES)
def test_no_program_gets_at_native_code(name: str, tier: Tier) -> None:
    assert run(hostile_programs.MODULES[name], tier).reason == "failed"


@pytest.mark.parametrize("name", hostile_programs.RESOURCES)
def test_no_program_takes_the_run_down(name: str, tier: Tier) -> None:
    started = time.monotonic()
    verdict = sandbox.run(hostile_programs.RESOURCES[name], seconds=0.3, memory=MEMORY, under=tier)
    assert not verdict.passed
    assert len(verdict.detail) <= 300
    assert time.monotonic() - started < 10  # 3 * 0.3 + 1 by the clock, and a busy machine
    assert run("pass", tier).passed


def with_a_failing_test(program: str) -> str:
    program = f"{program}\nassert 1 == 2\nLAST = 0\n"
    return program.replace("LAST\n", f"{program.count(chr(10))}\n", 1)


@pytest.mark.parametrize("name", hostile_answers.VERDICTS)
def test_no_program_forges_its_verdict(name: str, tier: Tier) -> None:
    verdict = run(with_a_failing_test(hostile_answers.VERDICTS[name]), tier)
    assert verdict.reason in ("failed", "timeout"), verdict
    assert "SyntaxError" not in verdict.detail
    assert run("pass", tier).passed


@pytest.mark.parametrize("name", ["jump over the tests", "jump in a debugger"])
def test_the_programs_that_jump_would_jump_outside(name: str, tmp_path: Path) -> None:
    # Else the sandbox would get the credit for a program that does not work.
    path = tmp_path / "program.py"
    path.write_text(with_a_failing_test(hostile_answers.VERDICTS[name]))
    outside = subprocess.run([sys.executable, path], capture_output=True)
    assert outside.returncode == 0, outside.stderr


@pytest.mark.parametrize("name", hostile_answers.CHEATS)
def test_answers_that_change_the_tests_cannot_be_told_from_right_ones(
    name: str, tier: Tier, outside: Outside
) -> None:
    # In principle: tests and answers share one process. This shows that the limit is known.
    assert run(hostile_answers.CHEATS[name], tier).passed
    outside.check()

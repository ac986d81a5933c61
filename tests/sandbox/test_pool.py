"""Which tiers are found to hold, and what is said where none does."""

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchbench import sandbox
from benchbench.errors import SandboxUnavailable
from benchbench.sandbox import Tier, warden
from benchbench.sandbox.pool import obstacle, wardens
from benchbench.sandbox.warden import Broken, Warden


def test_some_tier_holds_here() -> None:
    # The one that must not skip: a run in CI that confines nothing would test nothing.
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux confines programs")
    assert sandbox.tiers(), {tier: obstacle(tier) for tier in sandbox.TIERS}
    assert sandbox.tier() == sandbox.tiers()[0]


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


@pytest.mark.parametrize(
    "start",
    [
        "import os; os.kill(os.getpid(), 9)",
        "import sys; sys.stdin.read()",
        "raise MemoryError",
        "import os; os._exit(0)",
        "import errno, os, sys; sys.exit(f'no fork: {os.strerror(errno.EAGAIN)}')",
    ],
)
def test_what_may_pass_is_refused_and_not_remembered(
    start: str, fresh_probes: pytest.MonkeyPatch
) -> None:
    before = obstacle("landlock")
    obstacle.cache_clear()
    wardens.close()
    fresh_probes.setattr(warden, "PATIENCE", 1.0)
    fresh_probes.setattr(warden, "START", start)
    with pytest.raises(SandboxUnavailable, match=r"could not be found out \(.+\); run the command"):
        obstacle("landlock")
    fresh_probes.undo()
    assert obstacle("landlock") == before


def short(attempts: int) -> type[Warden]:
    """Return wardens for which there is no memory at the first attempts of the stronger tier."""

    class Short(Warden):
        left = attempts

        def __init__(self, tier: Tier) -> None:
            if tier == "bubblewrap" and Short.left:
                Short.left -= 1
                raise Broken(f"it cannot be started: {os.strerror(errno.ENOMEM)}")
            super().__init__(tier)

    return Short


def test_no_weaker_tier_stands_in_for_one_that_was_short_of_memory(
    fresh_probes: pytest.MonkeyPatch,
) -> None:
    fresh_probes.setattr("benchbench.sandbox.pool.Warden", short(99))
    for ask in (sandbox.tier, sandbox.tiers, lambda: sandbox.run("pass")):
        with pytest.raises(SandboxUnavailable, match=r"tier bubblewrap .*Cannot allocate memory"):
            ask()


def test_a_tier_that_was_short_of_memory_once_is_tried_again(
    fresh_probes: pytest.MonkeyPatch,
) -> None:
    before = sandbox.tier()
    obstacle.cache_clear()
    wardens.close()
    fresh_probes.setattr("benchbench.sandbox.pool.Warden", short(1))
    assert sandbox.tier() == before


def test_no_temporary_folder_is_one_clear_sentence(
    fresh_probes: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh_probes.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(SandboxUnavailable) as error:
        sandbox.tier()
    assert str(error.value) == (
        "the sandbox is tried on a file that no program may reach, and there is no folder to put "
        "it in (No such file or directory); set TMPDIR to a folder that can be written to."
    )
    fresh_probes.setattr(tempfile, "tempdir", str(tmp_path))
    assert sandbox.tier() == sandbox.tiers()[0]
    assert not list(tmp_path.iterdir())

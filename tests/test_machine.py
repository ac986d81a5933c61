"""The most memory of a phase is that phase's alone."""

import sys

import pytest

from benchbench import machine
from benchbench.machine import Meter, peak_memory, reset_peak

MEGABYTE = 2**20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux begins anew")


@pytest.fixture(autouse=True)
def processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "device", lambda: "cpu")


def _hold(megabytes: int) -> None:
    block = bytearray(megabytes * MEGABYTE)
    block[::4096] = b"x" * len(block[::4096])


def test_a_peak_is_what_was_held_at_once_since_the_reset() -> None:
    reset_peak()
    before = peak_memory()
    assert before is not None
    _hold(64)
    held = peak_memory()
    assert held is not None and 60 * MEGABYTE < held - before < 90 * MEGABYTE
    reset_peak()
    after = peak_memory()
    assert after is not None and after < held - 50 * MEGABYTE


def test_a_meter_measures_what_it_was_started_for_and_nothing_else() -> None:
    meter = Meter()
    found = []
    for megabytes in (48, 8):
        _hold(160)
        meter.start()
        _hold(megabytes)
        meter.stop()
        found.append(meter.memory)
    assert found[0] is not None and found[1] is not None
    assert 20 * MEGABYTE < found[0] - found[1] < 100 * MEGABYTE
    assert meter.joules is None
    assert 0 < meter.seconds < 60

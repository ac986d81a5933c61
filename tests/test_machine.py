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


def test_a_meter_keeps_the_most_of_all_times_and_sees_nothing_between_them() -> None:
    meter = Meter()
    peaks = []
    for megabytes in (48, 8):
        meter.start()
        _hold(megabytes)
        meter.stop()
        peaks.append(meter.peak)
        _hold(160)
    reset_peak()
    now = peak_memory()
    assert now is not None and peaks[0] == peaks[1]
    assert peaks[0] is not None and peaks[0] < now + 100 * MEGABYTE

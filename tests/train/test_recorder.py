"""What is written of every step tells in the end what went wrong, in order."""

from pathlib import Path

import pytest

from benchbench.machine import Meter
from benchbench.records.record import Instability
from benchbench.train.recorder import Diverged, Recorder


def test_what_went_wrong_before_the_end_is_told_with_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "train.jsonl", [9] * 8, lambda progress: None)
    recorder.write_score(0, 0.5, Meter())
    for step, loss in enumerate([1.0, 1.0, 4.0, 4.0, 4.0], 1):
        recorder.write(step, loss, 1.0, 0.1)
    recorder.write_score(5, 0.2, Meter())
    with pytest.raises(Diverged, match="gradient norm was inf at step 6 of 8") as caught:
        recorder.write(6, 4.0, float("inf"), 0.1)
    assert caught.value.instabilities == (
        Instability(kind="explosion", step=5, value=2.8),
        Instability(kind="collapse", step=5, value=0.2),
        Instability(kind="nan", step=6),
    )

"""Trackers: what transformers' Trainer reports to beside ``train.jsonl``, such as TensorBoard.

They only watch. Trainer lets whatever a tracker raises end the training, and a tracker that draws
random numbers changes what is drawn after it; here neither happens.
"""

import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path
from typing import Any

from benchbench.errors import BadParameter, needs

FAILED = "trackers.failed"
"""File of a run's work folder with a line for each tracker that failed."""

PACKAGES = {"azure_ml": "azureml-sdk", "comet_ml": "comet-ml"}
"""What is installed for a tracker, where that is not called as the tracker is."""

APART = ("flyte", "kubeflow")
"""Trainer's too, but they report from within a system that starts the training itself."""


def check(names: Sequence[str]) -> None:
    """Refuse a tracker that Trainer does not know, or that is not installed."""
    if not names:
        return
    with needs("transformers", "train"):
        from transformers.integrations import integration_utils
    integrations: Any = integration_utils
    known = sorted(set(integrations.INTEGRATION_TO_CALLBACK) - set(APART))
    usable = integrations.get_available_reporting_integrations()
    for name in names:
        if name not in known:
            raise BadParameter(f"--report-to names {name!r}; known are {', '.join(known)}.")
        if name not in usable:
            raise BadParameter(
                f"--report-to names {name!r}, which is not installed here or not set up; run: "
                f"pip install {PACKAGES.get(name, name)}"
            )


def environment(names: Sequence[str], folder: Path) -> Mapping[str, str]:
    """Return what makes trackers write into a run's folder, unless the user has set it."""
    folder = folder.absolute()
    places = {
        "tensorboard": {"TENSORBOARD_LOGGING_DIR": str(folder / "tensorboard")},
        "wandb": {"WANDB_DIR": str(folder)},  # it makes a folder ``wandb`` of its own
        "mlflow": {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"},
        "trackio": {"TRACKIO_DIR": str(folder / "trackio")},
    }
    return {key: value for name in names for key, value in places.get(name, {}).items()}


def callbacks(names: Sequence[str], work: Path) -> list[Any]:
    """Return Trainer's callbacks for trackers; one that fails is left out from then on.

    Why is written to a file of the work folder, for ``failures``.
    """
    from transformers.integrations import integration_utils

    (work / FAILED).unlink(missing_ok=True)
    makers: Any = integration_utils.INTEGRATION_TO_CALLBACK
    return [_guarded(name, makers[name], work / FAILED) for name in names]


def failures(work: Path) -> list[str]:
    """Return why trackers failed, one line each."""
    path = work / FAILED
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _guarded(name: str, make: Callable[[], Any], failed: Path) -> Any:
    """Return a callback that passes events on to a tracker until that fails."""
    from transformers import TrainerCallback

    class Guard(TrainerCallback):
        """Passes Trainer's events on, and nothing back."""

        tracker: Any = None
        broken = False

        def pass_on(self, event: str, *arguments: Any, **more: Any) -> None:
            if self.broken:
                return
            try:
                with _unmoved_chance():
                    self.tracker = self.tracker or make()
                    getattr(self.tracker, event)(*arguments, **more)
            except Exception as error:  # a library that talks to a server may raise anything
                self.broken = True
                cause = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                line = f"tracker {name} failed and is left out from here on ({cause})"
                print(line, file=sys.stderr)
                with failed.open("a", encoding="utf-8") as file:
                    file.write(f"{line}\n")

    for event in dir(TrainerCallback):
        if event.startswith("on_"):
            setattr(Guard, event, partialmethod(Guard.pass_on, event))
    return Guard()


@contextmanager
def _unmoved_chance() -> Iterator[None]:
    """Leave the random numbers that are drawn next as they were."""
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])

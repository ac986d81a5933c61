"""Checks of what a method does to a model: adapted, trained, interrupted, packed and padded."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from benchbench.checkpoints import parity
from benchbench.errors import PluginError, Unsuited
from benchbench.testing import material
from benchbench.testing.trial import FACTOR, STEPS, Trial
from benchbench.testing.verdict import Failed, NotTried, line
from benchbench.train import trainer
from benchbench.train.batches import difference, in_one_row, padded

INSTALL = "pip install"
"""An ImportError with this in it is no fault of the method."""

LEAST_FALL = 1e-3
"""Part of the loss that must be gone: on one batch even a timid learning rate does far more."""

STEP_OF_PHASE = {
    "loading": "loading the base model",
    "preparing": "adapt() or optimizer()",
    "training": "the training, or after_step(),",
}


def adapts(trial: Trial) -> str:
    """Return how much is trained."""
    step = "adapt()"
    try:
        assert trial.adapted
        step = "optimizer()"
        trainable = trial.trainable
    except PluginError as error:
        raise Failed(str(error)) from error
    except Unsuited as reason:
        raise NotTried(f"the method does not take the exam's small Llama: {reason}") from reason
    except Exception as error:  # a stranger's method may raise anything
        if isinstance(error, ImportError) and INSTALL in str(error):
            raise NotTried(f"it lacks a package here: {error}") from error
        raise Failed(
            f"{step} raised {line(error)}; adapt() gets a transformers LlamaForCausalLM in float32 "
            "and a Training and returns the model to train, from which optimizer() makes a torch "
            f"optimizer or None. Where a package is optional, raise ImportError with the `{INSTALL}"
            " …` that brings it"
        ) from error
    if not trainable:
        raise Failed(
            "the adapted model has no parameter with requires_grad, so nothing would be trained; "
            "in adapt(), freeze the base first and call requires_grad_(True) on what is to learn"
        )
    cost = trial.run.outcome.cost
    if cost and cost.trainable_parameters != trainable:
        raise Failed(
            f"adapt() and optimizer() leave {trainable:,} parameters to train, but the run's cost "
            f"says {cost.trainable_parameters:,}; what is trained must not depend on chance or on "
            "earlier calls, so keep nothing in the class or the module"
        )
    return f"{trainable:,} parameters"


def starts_as_declared(trial: Trial) -> str:
    """Return how far the adapted, untrained model is from the base."""
    adapted, declared = trial.adapted, trial.method().identity
    _, prompts, base = trial.loaded
    moved = parity.largest_difference(trainer.logprobs(adapted.model, prompts, "float32"), base)
    same = moved <= trial.tolerance
    found = f"the largest difference of a log-probability to the base model is {moved:.2g}"
    if declared and not same:
        raise Failed(
            f"identity is True, so the adapted model must compute what the base model does until "
            f"it is trained, but {found} (at most {trial.tolerance}); start the added part at "
            "zero, or declare identity = False"
        )
    # With other parameters it may be otherwise, so that False claims nothing.
    advice = "; advice: unless parameters change that, leave identity = False out"
    return f"identity = {declared}; {found}{advice if same and not declared else ''}"


def trains(trial: Trial) -> str:
    """Return how the loss over one repeated batch falls."""
    run, outcome = trial.run, trial.run.outcome
    rate = trial.spec.params["learning_rate"]
    if outcome.status == "diverged":
        raise Failed(
            f"{outcome.reason}; every loss must be a finite number. The exam's learning rate was "
            f"{rate:g} ({FACTOR:g} times the default): lower the default, or mend adapt() or "
            "after_step()"
        )
    if outcome.status != "done" and run.phase != "exporting":
        raise Failed(
            f"{STEP_OF_PHASE[run.phase]} raised {outcome.reason}; every step must end without "
            "an error"
        )
    first, last = fmean(run.losses[:2]), fmean(run.losses[-4:])
    if not last < first * (1 - LEAST_FALL):
        raise Failed(
            f"the loss over one batch, seen {STEPS} times, must fall, but went from {first:.4f} to "
            f"{last:.4f} with a learning rate of {rate:g}; see whether what has requires_grad "
            "reaches the loss, whether optimizer() holds it and descends, and whether the default "
            "learning_rate is large enough"
        )
    return f"loss {first:.3f} → {last:.3f}"


def repeats(trial: Trial) -> str:
    """Return that the same seed gives the same bits."""
    if found := _difference(trial.trained.weights, trial.repeated.weights):
        raise Failed(
            f"two trainings with the same seed gave different weights ({found}); draw random "
            "numbers from torch, numpy or random alone, which are seeded before adapt(), and never "
            "from the clock, the system, or a generator seeded elsewhere"
        )
    return f"{len(trial.trained.weights)} tensors, bit by bit"


def resumes(trial: Trial) -> str:
    """Return that a training that was interrupted ends as one that was not."""
    if not trial.method().resumable:
        raise NotTried("resumable is False: a training that was killed begins again")
    if not trial.resumed.resumed:
        raise Failed(
            f"no checkpoint was written in {STEPS} steps, so nothing could go on; if the method "
            "stops the trainer from saving, declare resumable = False"
        )
    if found := _difference(trial.trained.weights, trial.resumed.weights):
        raise Failed(
            f"a training interrupted after step {trial.resumed.resumed} of {STEPS} and continued "
            f"ended with other weights than one that was not ({found}); keep all that training "
            "changes in parameters, persistent buffers or the optimizer's state, or declare "
            "resumable = False"
        )
    return f"interrupted after step {trial.resumed.resumed}, {len(trial.trained.weights)} tensors"


def packs(trial: Trial) -> str:
    """Return how much two samples in one row differ from the same two apart."""
    if not trial.method().packable:
        raise NotTried("packable is False, which claims nothing")
    rows = material.examples()[:2]
    try:
        found = difference(trial.trained.model, in_one_row(rows), rows)
    except Exception as error:  # a stranger's model may raise anything
        raise Failed(
            f"a row of two samples with restarting position_ids raised {line(error)}; "
            "declare packable = False"
        ) from error
    if not found <= trial.tolerance:
        raise Failed(
            "packable is True, so two samples in one row with restarting position_ids must give "
            f"what they give apart, but a log-probability differs by {found:.2g} (at most "
            f"{trial.tolerance}); declare packable = False, or keep samples apart by position_ids"
        )
    return f"largest difference of a log-probability {found:.1e}"


def pads(trial: Trial) -> str:
    """Return how much padding on the right changes completions."""
    rows = material.examples()[:4]
    found = difference(trial.trained.model, padded(rows), rows)
    if not found <= trial.tolerance:
        raise Failed(
            "a sample padded on the right must give what it gives alone, but a log-probability of "
            f"its completion differs by {found:.2g} (at most {trial.tolerance}); heed "
            "attention_mask, and do not mix rows or positions of a batch"
        )
    return f"largest difference of a log-probability {found:.1e}"


def _difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Say how two sets of weights differ; nothing where all bits are equal."""
    import torch

    if names := sorted(first.keys() ^ second.keys()):
        return f"only one has {names[0]}"
    unlike = [name for name, tensor in first.items() if not torch.equal(tensor, second[name])]
    if not unlike:
        return ""
    name = unlike[0]
    if first[name].shape != second[name].shape:
        return f"{name} has another shape"
    largest = (first[name].float() - second[name].float()).abs().max().item()
    return f"{len(unlike)} of {len(first)} tensors, {name} by up to {largest:.2g}"

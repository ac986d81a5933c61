"""Trains what a plan lacks, one run after the other, each in a process of its own."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchbench.errors import BadParameter
from benchbench.machine import device_count
from benchbench.plan.plan import Plan, run_labels
from benchbench.records.record import RunRecord, now
from benchbench.records.store import Store
from benchbench.registry.registry import Registry
from benchbench.reporter import Reporter
from benchbench.train import trackers
from benchbench.train.examples import _tokenised
from benchbench.train.job import Progress, TrainJob
from benchbench.train.launcher import train


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What the processes that train load beside the installed plugins, and how many there are."""

    plugins: tuple[str, ...] = ()
    """Modules, or absolute paths of files."""
    no_plugins: tuple[str, ...] = ()
    devices: int = 1
    """Processes that share every step of a training, each on a device of its own."""
    sharded: bool = False
    """Whether they share the weights too, and not only where one device is too small for them."""
    trackers: tuple[str, ...] = ()
    """What they report to beside ``train.jsonl``, such as ``tensorboard``."""


def check_devices(loaded: Loaded, plan: Plan) -> None:
    """Refuse more devices than there are, or than a batch has samples."""
    count = device_count()
    batch = min((spec.train.batch_size for spec in plan.runs if spec.train), default=1 << 30)
    if count is not None and loaded.devices > count:
        raise BadParameter(
            f"--devices is {loaded.devices}, but this machine shows {count}; see "
            "CUDA_VISIBLE_DEVICES, or give fewer."
        )
    if loaded.devices > batch:
        raise BadParameter(
            f"--devices is {loaded.devices}, but a batch has {batch} samples to share; give fewer "
            "devices, or larger batches with --set batch_size=N."
        )


def train_missing(
    plan: Plan,
    store: Store,
    loaded: Loaded,
    data_root: Path | None,
    registry: Registry,
    reporter: Reporter,
) -> None:
    """Train the runs that have no record yet, until somebody ends one."""
    missing = [spec for spec in plan.runs if store.run(spec.id) is None]
    for spec in plan.runs:
        if spec not in missing:  # left behind by a command that was killed after its last word
            shutil.rmtree(store.run_folder(spec.id) / "work", ignore_errors=True)
    examples = None
    if plan.training and any(spec.train for spec in missing):
        examples = _tokenised(plan, plan.training, store, registry, reporter)
    names = run_labels(plan)
    for spec in missing:
        job = TrainJob(
            spec=spec,
            model=plan.model.folder,
            examples=examples if spec.train else None,
            folder=store.run_folder(spec.id),
            origin=registry.origins["method", spec.method.name],
            plugins=loaded.plugins,
            no_plugins=loaded.no_plugins,
            data_root=data_root,
            devices=loaded.devices,
            sharded=loaded.sharded,
            trackers=loaded.trackers,
        )
        record = _train_one(job, names[spec.id], registry, reporter)
        if record is None:
            break
        store.add_run(record)
        # From here on the record answers; what only an unfinished training needs can go.
        shutil.rmtree(job.work, ignore_errors=True)


def _train_one(
    job: TrainJob, label: str, registry: Registry, reporter: Reporter
) -> RunRecord | None:
    """Train a run; None where somebody ended it, which says nothing of the method."""
    spec = job.spec
    verb = "training" if spec.train else "measuring"
    with reporter.bar(f"{verb} {label}", 0) as update:
        outcome = train(job, lambda p: update(p.step, p.steps, _state(p)))
    for failure in trackers.failures(job.work):
        reporter.say(f"{label}: {failure}")
    if outcome.status != "done":
        reporter.say(f"{label}: {outcome.status}: {outcome.reason}")
    if (kept := outcome.selection) and outcome.cost:
        reporter.say(
            f"{label}: weights of step {kept.step} of {outcome.cost.steps} are kept, which score "
            f"{kept.score:.3f} on the validation samples (untrained {kept.curve[0]:.3f})"
        )
    for found in outcome.instabilities:
        value = "not a number" if found.value is None else f"{found.value:.3f}"
        reporter.say(f"{label}: {found.kind} at step {found.step} ({value})")
    if outcome.killed:
        reporter.say("the same command again goes on from here")
        return None
    return RunRecord(
        spec=spec,
        status=outcome.status,
        reason=outcome.reason,
        role=registry.methods[spec.method.name].role,
        origin=registry.origins["method", spec.method.name],
        cost=outcome.cost,
        artefact=outcome.artefact,
        selection=outcome.selection,
        instabilities=outcome.instabilities,
        environment=outcome.environment,
        created=now(),
    )


def _state(progress: Progress) -> str:
    """Say how a training is doing."""
    if progress.score is not None:
        return f"validation {progress.score:.3f}"
    return "" if progress.loss is None else f"loss {progress.loss:.3f}"

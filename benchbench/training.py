"""Trains what a plan lacks, one run after the other, each in a process of its own."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchbench import train
from benchbench.errors import DataError
from benchbench.evaluate import now
from benchbench.leaderboard import labels
from benchbench.plan import Plan, TrainingSet
from benchbench.prompt import Example, Renderer
from benchbench.record import RunRecord
from benchbench.registry import Registry
from benchbench.reporter import Reporter
from benchbench.specs import RunSpec
from benchbench.store import Store


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What the processes that train load beside the installed plugins, and leave out."""

    plugins: tuple[str, ...] = ()
    """Modules, or absolute paths of files."""
    no_plugins: tuple[str, ...] = ()


def train_missing(
    plan: Plan, store: Store, loaded: Loaded, registry: Registry, reporter: Reporter
) -> None:
    """Train the runs that have no record yet, until somebody ends one."""
    missing = [spec for spec in plan.runs if store.run(spec.id) is None]
    training = plan.training
    digest = training.data.digest if training else ""
    examples = store.folder / f".examples-{digest[:12]}.safetensors"
    if training and any(spec.train for spec in missing):
        renderer = Renderer.of(plan.model.folder)
        train.write_examples(examples, _examples(training, renderer, reporter))
    names = run_labels(plan)
    for spec in missing:
        record = _train_one(spec, names[spec.id], examples, plan, store, loaded, registry, reporter)
        if record is None:
            break
        store.add_run(record)
        # From here on the record answers; what only an unfinished training needs can go.
        shutil.rmtree(store.run_folder(spec.id) / "work", ignore_errors=True)
    examples.unlink(missing_ok=True)


def _examples(training: TrainingSet, renderer: Renderer, reporter: Reporter) -> list[Example]:
    """Render what is trained on; what is cut so far that nothing is learned is left out."""
    samples = training.samples
    with reporter.bar("reading training samples", len(samples)) as update:
        found = []
        for number, (split, sample) in enumerate(samples, start=1):
            found.append(renderer.example(split.task, sample, split.protocol))
            if number % 256 == 0 or number == len(samples):
                update(number, len(samples), "")
    learned = [example for example in found if example.is_learned]
    name = training.spec.label
    if not learned:
        raise DataError(
            f"every prompt of {name} is longer than the model's or the protocol's limit, so that "
            "no answer is left to learn; choose a model with a longer context."
        )
    if left_out := len(found) - len(learned):
        reporter.say(
            f"{left_out:,} of {len(found):,} training samples of {name} are left out: their "
            "prompts are so long that no answer is left to learn"
        )
    return learned


def run_labels(plan: Plan) -> dict[str, str]:
    """Name the runs of a plan, by id, as shortly as tells them apart."""
    named = labels([spec.method for spec in plan.runs])
    return {
        spec.id: f"{name} (seed {spec.seed})" for spec, name in zip(plan.runs, named, strict=True)
    }


def _train_one(
    spec: RunSpec,
    label: str,
    examples: Path,
    plan: Plan,
    store: Store,
    loaded: Loaded,
    registry: Registry,
    reporter: Reporter,
) -> RunRecord | None:
    """Train a run; None where somebody ended it, which says nothing of the method."""
    job = train.TrainJob(
        spec=spec,
        model=plan.model.folder,
        examples=examples if spec.train else None,
        folder=store.run_folder(spec.id),
        origin=registry.origins["method", spec.method.name],
        plugins=loaded.plugins,
        no_plugins=loaded.no_plugins,
    )
    verb = "training" if spec.train else "measuring"
    with reporter.bar(f"{verb} {label}", 0) as update:
        outcome = train.train(job, lambda p: update(p.step, p.steps, _loss(p.loss)))
    if outcome.status != "done":
        reporter.say(f"{label}: {outcome.status}: {outcome.reason}")
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
        environment=outcome.environment,
        created=now(),
    )


def _loss(value: float | None) -> str:
    return "" if value is None else f"loss {value:.3f}"

"""Trains what a plan lacks, one run after the other, each in a process of its own."""

import hashlib
import inspect
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchbench import train
from benchbench.contract.task import Protocol, Task
from benchbench.errors import BadParameter, DataError
from benchbench.machine import device_count
from benchbench.models.prompt import RENDERING, Example, Renderer
from benchbench.plan import Plan, TrainingSet, run_labels
from benchbench.profile import learns_padding
from benchbench.records.record import RunRecord, now
from benchbench.records.store import Store
from benchbench.registry.registry import Registry
from benchbench.reporter import Reporter
from benchbench.specs import digest
from benchbench.train import trackers

EXAMPLES = ".examples"
"""Folder of a store with tokenised samples; it may be deleted at any time."""

KEPT = 4
"""Files of tokenised samples that stay, the last ones used."""


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
        job = train.TrainJob(
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


def _tokenised(
    plan: Plan, training: TrainingSet, store: Store, registry: Registry, reporter: Reporter
) -> Path:
    """Return the file of tokenised samples, made once for all that it depends on."""
    filled = any(spec.train and learns_padding(spec.train) for spec in plan.runs)
    tasks = {type(split.task) for split, _ in training.samples}
    key = digest(
        {
            "rendering": RENDERING,
            "model": asdict(plan.model.spec),
            "task": asdict(training.spec),
            "data": asdict(training.data),
            "code": {task.name: _code(task, registry) for task in tasks},
            "filled": filled,
        },
        length=16,
    )
    path = store.folder / EXAMPLES / f"{key}.safetensors"
    if path.exists():
        path.touch()
        return path
    for part in path.parent.glob("*.part"):  # of a command that was killed
        part.unlink()
    examples = _examples(training, Renderer.of(plan.model.folder), filled, reporter)
    train.write_examples(path, examples)
    files = sorted(path.parent.glob("*.safetensors"), key=lambda each: -each.stat().st_mtime)
    for old in files[KEPT:]:
        old.unlink()
    return path


def _code(task: type[Task], registry: Registry) -> list[str]:
    """Return what identifies a task's code: its plugin's version, and its file's content."""
    origin = registry.origins["task", task.name]
    file = inspect.getsourcefile(task)
    content = Path(file).read_bytes() if file else b""
    return [origin.distribution, origin.version, hashlib.sha256(content).hexdigest()]


def _examples(
    training: TrainingSet, renderer: Renderer, filled: bool, reporter: Reporter
) -> list[Example]:
    """Render what is trained on; what is cut so far that nothing is learned is left out."""
    samples = training.samples
    with reporter.bar("reading training samples", len(samples)) as update:
        found = []
        for number, (split, sample) in enumerate(samples, start=1):
            example = renderer.example(split.task, sample, split.protocol)
            found.append(fill_answer(example, renderer, split.protocol) if filled else example)
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


def fill_answer(example: Example, renderer: Renderer, protocol: Protocol) -> Example:
    """Return a sample whose answer is as long as any may be, with padding that is learned."""
    if not example.is_learned:
        return example
    padding = renderer.tokenizer.pad_token_id or 0
    longest = protocol.generation.max_tokens
    if not renderer.apart:
        whole = min(renderer.context, protocol.max_example_tokens or renderer.context)
        longest = min(longest, whole - len(example.prompt))
    room = longest - len(example.completion)
    return replace(example, completion=(*example.completion, *[padding] * max(0, room)))


def _train_one(
    job: train.TrainJob, label: str, registry: Registry, reporter: Reporter
) -> RunRecord | None:
    """Train a run; None where somebody ended it, which says nothing of the method."""
    spec = job.spec
    verb = "training" if spec.train else "measuring"
    with reporter.bar(f"{verb} {label}", 0) as update:
        outcome = train.train(job, lambda p: update(p.step, p.steps, _state(p)))
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


def _state(progress: train.Progress) -> str:
    """Say how a training is doing."""
    if progress.score is not None:
        return f"validation {progress.score:.3f}"
    return "" if progress.loss is None else f"loss {progress.loss:.3f}"

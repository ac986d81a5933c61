"""The command that does a run again."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchbench.boards.markdown import one_line
from benchbench.plan.plan import PROFILES, SETTABLE
from benchbench.records.record import RunRecord, TaskResult
from benchbench.registry.registry import Registry
from benchbench.specs import TaskSpec, TrainSpec

MIX = "MIX.toml"


def command(
    record: RunRecord, results: Sequence[TaskResult], base: str | None, registry: Registry
) -> str:
    """Return the paragraph that says how to do a run again; ``base`` is its model's hub id."""
    words = list(_words(record, results, base, registry))
    # Nothing of a stranger's begins a line, so that nothing ends the block.
    text = f"```\n{' '.join(shlex.quote(one_line(word)) for word in words)}\n```"
    filled = [word for word in ("FOLDER", "DATA", MIX) if word in words]
    if any("@URL" in word for word in words):
        filled.append("URL")
    if filled:
        text += f"\n\n{', '.join(filled)}: yours to fill in."
    return text


def _words(
    record: RunRecord, results: Sequence[TaskResult], base: str | None, registry: Registry
) -> Iterator[str]:
    spec, train = record.spec, record.spec.train
    assert train is not None
    yield from ("benchbench", "run", "--method", _with(spec.method.name, spec.method.params))
    # Where nothing was evaluated the default task is: some that are trained on cannot be.
    if tasks := dict.fromkeys(_task(each.spec.task) for each in results):
        yield from ("--tasks", ",".join(tasks))
    if train.task.protocol == "mix":
        yield from ("--train-on", train.task.name if train.task.name in registry.mixes else MIX)
    else:
        yield from ("--train-on", _task(train.task))
    if spec.model.name in registry.models:
        yield from ("--model", spec.model.name)
    else:
        yield from ("--model", f"{base}@{spec.model.revision}" if base else "FOLDER")
    yield from ("--seeds", str(spec.seed))
    for key, value in settings(train).items():
        yield from ("--set", f"{key}={value}")
    if "folder" in (train.data.source, *(each.spec.data.source for each in results)):
        yield from ("--data", "DATA")
    judges = [each.spec.judge for each in results if each.spec.judge]
    for judge in dict.fromkeys(
        f"{each.model}{'@URL' * (each.served_by == 'endpoint')}" for each in judges
    ):
        yield from ("--judge", judge)


def settings(train: TrainSpec) -> Mapping[str, Any]:
    """Return what a training changed of the defaults of its profile."""
    usual = PROFILES[train.profile]
    found = {key: getattr(train, key) for key in SETTABLE}
    default = {key: usual.get(key, getattr(TrainSpec, key)) for key in SETTABLE}
    return {key: value for key, value in found.items() if key == "profile" or value != default[key]}


def _task(spec: TaskSpec) -> str:
    head = f"{spec.name}@{spec.protocol}"
    split = [] if spec.split in ("test", "train") else [spec.split]
    return _with(head, spec.params, *split)


def _with(name: str, params: Mapping[str, Any], *first: str) -> str:
    """Return a name with parameters as flags take them; an empty text, which none takes, is out."""
    pairs = (f"{key}={value}" for key, value in params.items() if str(value).strip())
    rest = ",".join((*first, *pairs))
    return f"{name}:{rest}" if rest else name

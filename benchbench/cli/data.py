"""``benchbench data``: what data there are, and fetching them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchbench.cli.options import Data, Json, NoPlugin, Plugin, load_registry
from benchbench.errors import BadParameter, BenchbenchError

if TYPE_CHECKING:
    from benchbench.contract.task import Task
    from benchbench.plan.samples import TaskSplit
    from benchbench.registry.registry import Registry
    from benchbench.specs import Split, TaskSpec

app = typer.Typer(help="See which data sets there are, and fetch them.", no_args_is_help=True)

ALL = "all"
COLUMNS = ("task", "state", "split", "samples", "digest", "get")


@app.command()
def get(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME…", help="Tasks, a family of tasks, a mix, or all.")
    ],
    data: Data = None,
    revision: Annotated[
        str | None,
        typer.Option(metavar="COMMIT", help="Another commit of the one task's data set."),
    ] = None,
    as_json: Json = False,
    plugin: Plugin = None,
    no_plugin: NoPlugin = None,
) -> None:
    """Fetch data sets from the Hugging Face hub into --data, each whole or not at all.

    Of a family, a mix, or all, what is there already is left and what the hub lacks is listed.
    Exit code 1: some of them could not be fetched; 2: the request was wrong, or a named one could
    not be fetched.
    """
    from benchbench.cli.progress import reporter
    from benchbench.data.download import fetch, source_of
    from benchbench.plan.samples import read_contents

    if data is None:
        raise BadParameter("no data root is given; name one with --data DIR or BENCHBENCH_DATA.")
    registry = load_registry(no_plugin, plugin)
    wanted = list(expand(names, registry))
    if revision and len(wanted) > 1:
        raise BadParameter(f"--revision {revision} is of one data set; name one task with it.")
    for spec, by_name in wanted:
        if by_name:
            source_of(registry.task(spec), revision)
    say, rows = reporter().say, []
    for spec, by_name in wanted:
        task, read = registry.task(spec), partial(read_contents, spec, registry)
        there = (data / task.data_set).exists()
        if not by_name and (there or task.hub is None):
            rows.append(row(task, data, "there already" if there else "not on the hub"))
            continue
        try:
            rows.append(row(task, data, "fetched", fetch(task, data, read, revision, say)))
        except BenchbenchError as error:
            if by_name:
                raise
            rows.append(row(task, data, "failed", reason=str(error)))
    show(rows, as_json)


@app.command()
def status(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME…", help="Tasks, a family, or a mix; default: all.", show_default=""
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,
    plugin: Plugin = None,
    no_plugin: NoPlugin = None,
) -> None:
    """Read every task's data, and say what there is and how to get the rest.

    Exit code 1: some that are there cannot be read.
    """
    from benchbench.cli.progress import reporter

    if data is not None and not data.is_dir():
        raise BadParameter(
            f"the data root {str(data)!r} is not a folder; name another with --data DIR, or make "
            "it by fetching some: `benchbench data get NAME --data DIR`."
        )
    registry = load_registry(no_plugin, plugin)
    wanted = list(expand(names or [ALL], registry))
    rows = []
    with reporter().bar("reading data", len(wanted)) as update:
        for done, (spec, _) in enumerate(wanted):
            update(done, len(wanted), spec.name)
            rows.append(state(spec, registry, data))
        update(len(wanted), len(wanted), "")
    show(rows, as_json)


def expand(names: Sequence[str], registry: "Registry") -> Iterator[tuple["TaskSpec", bool]]:
    """Yield the tasks that names stand for, each once, and whether it was named itself."""
    from benchbench.contract.mix import find_mix
    from benchbench.specs import TaskSpec, canonical

    seen = set()
    for name in names:
        members = [
            TaskSpec(name=each)
            for each, task in registry.tasks.items()
            if name in (ALL, task.family) and name not in registry.tasks
        ]
        if mix := find_mix(name, registry.mixes):
            members = [TaskSpec(name=component.task.name) for component in mix.components]
        for spec in members or [TaskSpec.parse(name)]:
            registry.task(spec)  # raises UnknownName or BadParameter, before anything is fetched
            if canonical(spec) not in seen:
                seen.add(canonical(spec))
                yield spec, not members


def state(spec: "TaskSpec", registry: "Registry", root: Path | None) -> dict[str, Any]:
    """Return what there is of a task's data."""
    from benchbench.plan.samples import read_contents

    task = registry.tasks[spec.name]
    if not (task.embedded if root is None else (root / task.data_set).exists()):
        return row(task, root, "missing")
    try:
        found = read_contents(spec, registry, root)
    except BenchbenchError as error:
        return row(task, root, "broken", reason=str(error))
    return row(task, root, "sample" if root is None else "found", found)


def row(
    task: "Task | type[Task]",
    root: Path | None,
    state: str,
    found: "Mapping[Split, TaskSplit] | None" = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """Return what ``--json`` prints of a task's data."""
    from benchbench.data.find import how_to_get

    splits = {
        split: {"samples": len(each.samples), "digest": each.data.digest}
        for split, each in (found or {}).items()
    }
    hub = task.hub and {"repository": task.hub.repository, "revision": task.hub.revision}
    # What is broken stands where the same would be put.
    away = f"move {root}/{task.data_set} away, then " if root and state == "broken" else ""
    return {
        "task": task.name,
        "data_set": task.data_set,
        "state": state,
        "reason": reason,
        "splits": splits,
        "hub": hub,
        "get": away + how_to_get(task, root),
    }


def show(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print rows, and exit with 1 where one holds a reason: it failed or is broken."""
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        show_table(rows)
    if any(each["reason"] for each in rows):
        raise typer.Exit(1)


def show_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each split, how to get what is wanting, and below what is wrong."""
    from benchbench.cli import tables

    lines = []
    for each in rows:
        wanting = not each["splits"] and each["state"] != "there already"
        shown = {"task": each["task"], "state": each["state"]}
        shown["get"] = each["get"] if wanting or each["state"] == "sample" else ""
        for split, contents in each["splits"].items() or [("", {"samples": "", "digest": ""})]:
            samples = f"{contents['samples']:,}" if contents["samples"] else ""
            lines.append(
                {**shown, "split": split, "samples": samples, "digest": contents["digest"][:12]}
            )
    tables.show("", lines, COLUMNS)
    for each in rows:
        if each["reason"]:
            typer.echo(f"{each['task']}: {each['state']}: {each['reason']}")

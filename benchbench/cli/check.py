"""``benchbench check``: the exam that methods take."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchbench import files
from benchbench.cli.options import ENGINES, Json, NoPlugin, Plugin, absolute, load_registry
from benchbench.errors import BadParameter, UnknownName

if TYPE_CHECKING:
    from benchbench.registry.registry import Registry
    from benchbench.testing import Exam

MARKS = {"passed": "✓", "failed": "✗", "not tried": "–"}


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="METHOD_OR_PLUGIN…",
            help="A method, with parameters as in lora:rank=4, or a plugin for all its methods.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help=f"{ENGINES}, or auto: all that are installed.")
    ] = "auto",
    every: Annotated[bool, typer.Option("--all", help="Check every method.")] = False,
    matrix: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write a page of all methods (--all).")
    ] = None,
    as_json: Json = False,
    plugin: Plugin = None,
    no_plugin: NoPlugin = None,
) -> None:
    """Examine methods on a small random model and say what to mend.

    Exit code 0: nothing failed; 1: a check failed; 2: the request was wrong.
    """
    from benchbench.testing import check_method

    registry = load_registry(no_plugin, plugin)
    methods = resolve(names or [], every, registry)
    if matrix and not every:
        raise BadParameter(f"--matrix {matrix} is a page of all methods; give it with --all.")
    exams = []
    for method in methods:
        typer.echo(f"checking {method} …", err=True)
        exams.append(
            check_method(
                method, engine=engine, plugins=absolute(plugin), no_plugins=no_plugin or ()
            )
        )
        if not as_json:
            show(exams[-1])
    if matrix:
        from benchbench.testing import matrix_page

        files.write(matrix, matrix_page(exams, registry).encode())
    if as_json:
        found = [asdict(exam) | {"passed": exam.passed} for exam in exams]
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    if not all(exam.passed for exam in exams):
        raise typer.Exit(1)


def resolve(names: list[str], every: bool, registry: "Registry") -> list[str]:
    """Return the methods that names of methods and plugins stand for, each once."""
    from benchbench.specs import MethodSpec

    if bool(names) == every:
        raise BadParameter(
            "benchbench check wants names of methods or plugins, or --all for every method, and "
            "not both; see `benchbench list methods`."
        )
    found: list[str] = [] if names else list(registry.methods)
    for name in names:
        spec = MethodSpec.parse(name)
        if spec.name not in registry.methods:
            found += provided(name, registry)
            continue
        if spec.params:
            registry.method(spec)  # raises BadParameter, before anything is trained
        found.append(name)
    return list(dict.fromkeys(found))


def provided(plugin: str, registry: "Registry") -> list[str]:
    """Return the methods of a plugin, or of all modules of a package."""
    origins = {name: registry.origins["method", name].plugin for name in registry.methods}
    inside = f"{plugin.replace('-', '_')}."
    found = [name for name, own in origins.items() if own == plugin or own.startswith(inside)]
    if not found:
        note = "".join(f" Note: {broken}" for broken in registry.broken)
        raise UnknownName("method or plugin", plugin, {*origins, *origins.values()}, note)
    return found


def show(exam: "Exam") -> None:
    """Print an exam as a table, and how it ended."""
    from benchbench.cli import tables

    rows = [
        {"": MARKS[check.status], "check": check.name, "what was tried": text(check)}
        for check in exam.checks
    ]
    tables.show(f"{exam.method} ({exam.plugin})", rows, list(rows[0]))
    count = {status: sum(c.status == status for c in exam.checks) for status in MARKS}
    ended = ", ".join(f"{n} {status}" for status, n in count.items() if n)
    typer.echo(f"{exam.method}: {ended}, in {exam.seconds:.1f} s\n")


def text(check: Any) -> str:
    """Return what is shown of a check: what was tried, and what came of it."""
    if check.status == "not tried":
        return f"not tried: {check.problem}"
    return f"{check.tried}: {check.problem}" if check.problem else str(check.tried)

"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchbench.registry import Registry

NoPlugin = Annotated[
    list[str] | None,
    typer.Option("--no-plugin", metavar="NAME", help="Leave a plugin out (repeatable)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for machines.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="BENCHBENCH_DATA",
        metavar="DIR",
        help="Data root, one subfolder a data set.",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the runs.")]


def load_registry(no_plugins: list[str] | None) -> "Registry":
    """Load all plugins and tell of those that could not be imported."""
    from benchbench.registry import Registry

    registry = Registry.load(no_plugins or ())
    for plugin in registry.broken:
        typer.echo(f"warning: {plugin}", err=True)
    return registry

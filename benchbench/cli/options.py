"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchbench.engines.choice import engine_names
from benchbench.errors import BadParameter, PluginError

if TYPE_CHECKING:
    from benchbench.judge.opening import JudgeRequest
    from benchbench.registry.registry import Registry

ENGINES = ", ".join(engine_names())
"""What an option that names an engine may be, beside ``auto``."""

NoPlugin = Annotated[
    list[str] | None,
    typer.Option("--no-plugin", metavar="NAME", help="Leave a plugin out (repeatable)."),
]
Plugin = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin", metavar="FILE.py", help="Load a single file, or a module, as a plugin too."
    ),
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
JudgeSet = Annotated[
    list[str] | None,
    typer.Option(
        "--judge-set",
        metavar="KEY=VALUE",
        help="Setting of an endpoint (repeatable): top_logprobs, revision, concurrency, timeout, "
        "retries, or a field of its requests, as JSON.",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the runs.")]


def load_registry(no_plugins: list[str] | None, plugins: list[str] | None = None) -> "Registry":
    """Load all plugins and tell of those that could not be imported.

    One that was named itself must work, or PluginError is raised.
    """
    from benchbench.registry.registry import Registry

    registry = Registry.load(no_plugins or (), plugins or ())
    asked = {Path(name).stem if name.endswith(".py") else name for name in plugins or ()}
    for plugin in registry.broken:
        if plugin.name in asked:
            raise PluginError(f"plugin {plugin.name!r} does not work ({plugin.cause}); mend it.")
        typer.echo(f"warning: {plugin}", err=True)
    return registry


def absolute(plugins: list[str] | None) -> tuple[str, ...]:
    """Return plugins as another process finds them."""
    return tuple(
        str(Path(name).absolute()) if name.endswith(".py") else name for name in plugins or ()
    )


def judge_request(name: str, settings: list[str] | None) -> "JudgeRequest":
    """Return the judge that flags describe."""
    from benchbench.judge.opening import JudgeRequest

    pairs: dict[str, str] = {}
    for text in settings or ():
        key, equals, value = text.partition("=")  # a value is JSON, which may hold commas
        if not key or not equals:
            raise BadParameter(f"--judge-set is {text!r}; write KEY=VALUE.")
        pairs[key] = value
    return JudgeRequest(name=name, settings=pairs)

"""``benchbench list`` and ``benchbench show``: what there is."""

import inspect
import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchbench.cli.options import Json, NoPlugin, Plugin, load_registry
from benchbench.errors import UnknownName

if TYPE_CHECKING:
    from benchbench.registry.registry import Registry

BOARDS = Path("leaderboards")


class Kind(StrEnum):
    """What can be listed."""

    methods = "methods"
    models = "models"
    tasks = "tasks"
    mixes = "mixes"
    boards = "boards"
    plugins = "plugins"

    @property
    def singular(self) -> str:
        return "mix" if self is Kind.mixes else self.value.removesuffix("s")


FACTS = {
    Kind.methods: ("role", "family", "packable", "resumable"),
    Kind.tasks: ("family", "metric", "version", "chance"),
}
"""What is shown of an item beside its parameters."""


def list_names(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    as_json: Json = False,
    plugin: Plugin = None,
    no_plugin: NoPlugin = None,
) -> None:
    """List methods, models, tasks, mixes, boards or plugins."""
    rows = entries(kind, load_registry(no_plugin, plugin))
    if kind is Kind.boards and not rows:
        typer.echo(
            f"boards are looked for in {BOARDS}/ of the folder where the command is given, and "
            f"{BOARDS.absolute()} has none",
            err=True,
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from benchbench.cli import tables

    tables.show("", rows, list(rows[0]) if rows else ["name"])


def show(
    name: Annotated[str, typer.Argument(help="A method, model, task or mix, or FILE.toml.")],
    as_json: Json = False,
    plugin: Plugin = None,
    no_plugin: NoPlugin = None,
) -> None:
    """Show one method, model, task or mix with its parameters."""
    registry = load_registry(no_plugin, plugin)
    details = [
        detail
        for kind in (Kind.methods, Kind.models, Kind.tasks, Kind.mixes)
        for detail in describe(kind, name, registry)
    ]
    if not details:
        known = [*registry.methods, *registry.models, *registry.tasks, *registry.mixes]
        raise UnknownName("name", name, known)
    if as_json:
        typer.echo(json.dumps(details, indent=1))
        return
    for detail in details:
        typer.echo(_page(detail))


def entries(kind: Kind, registry: "Registry") -> list[dict[str, Any]]:
    """Return the rows of a listing; each has at least ``name`` and ``plugin``."""
    if kind is Kind.plugins:
        return [
            {"name": o.plugin, "plugin": o.plugin, "package": o.distribution, "version": o.version}
            for o in registry.plugins
        ]
    if kind is Kind.boards:
        found = sorted(path.parent for path in BOARDS.glob("*/board.toml"))
        return [{"name": f.name, "plugin": "", "folder": str(f)} for f in found]
    known: dict[str, Any] = dict(getattr(registry, kind.value))
    origins = registry.origins
    return [
        {"name": name, "plugin": origins[kind.singular, name].plugin, **_summary(kind, item)}
        for name, item in known.items()
    ]


def describe(kind: Kind, name: str, registry: "Registry") -> list[dict[str, Any]]:
    """Return what is known of a name, or nothing if this kind has no such name."""
    from benchbench.contract.mix import find_mix
    from benchbench.registry.docstrings import field_docs
    from benchbench.registry.registry import parameters

    if kind is Kind.mixes:
        item: Any = find_mix(name, registry.mixes)
    else:
        item = getattr(registry, kind.value).get(name)
    if item is None:
        return []
    origin = registry.origins.get((kind.singular, name))  # a mix's file has none
    detail = {"kind": kind.singular, "name": item.name, **(asdict(origin) if origin else {})}
    if kind is Kind.models:
        # A folder of this machine says nothing to others; a hub id does.
        where = Path(item.path).name if Path(item.path).is_absolute() else item.path
        return [detail | asdict(item) | {"path": where}]
    if kind is Kind.mixes:
        components = {part.label: part.count for part in item.components}
        return [detail | {"description": item.summary, "seed": item.seed, "components": components}]
    detail |= {"description": inspect.getdoc(item) or "", "source": item.source}
    try:
        meaning = field_docs(item)
    except (OSError, TypeError, SyntaxError):  # made at run time, without a source
        meaning = {}
    detail["parameters"] = {
        key: {"type": hint, "default": default, "description": meaning.get(key, "")}
        for key, (hint, default) in parameters(item).items()
    }
    detail |= {fact: getattr(item, fact) for fact in FACTS[kind]}
    if kind is Kind.tasks:
        protocols = {key: protocol.summary for key, protocol in item.protocols.items()}
        detail |= {"splits": list(item.splits), "protocols": protocols}
    return [detail]


def _summary(kind: Kind, item: Any) -> dict[str, Any]:
    if kind is Kind.models:
        return {"summary": item.description}
    if kind is Kind.mixes:
        return {"components": str(len(item.components)), "summary": item.summary}
    summary = {"summary": (inspect.getdoc(item) or "").partition("\n")[0]}
    if kind is Kind.tasks:
        parts = {key: ", ".join(getattr(item, key)) for key in ("splits", "protocols")}
        return {"family": item.family} | parts | summary
    return {"role": item.role, "family": item.family} | summary


def _page(detail: dict[str, Any]) -> str:
    lines = [f"{detail['kind']} {detail['name']}", ""]
    for key, value in detail.items():
        if key in ("kind", "name") or value in ("", None, {}):
            continue
        if isinstance(value, dict):
            lines.append(f"{key}:")
            shown = [line for k, v in value.items() for line in _parameter(k, v)]
            if key == "protocols":
                shown[0] += " (default)"
            lines += shown
        elif isinstance(value, list):
            lines.append(f"{key}: {', '.join(map(str, value)) or 'none'}")
        elif "\n" in str(value):
            lines += [f"{key}:", *(f"  {line}".rstrip() for line in str(value).split("\n"))]
        else:
            lines.append(f"{key}: {value}")
    return "\n".join([*lines, ""])


def _parameter(key: str, value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f"  {key} = {value}"]
    meaning = " ".join(value["description"].replace("``", "").split())
    return [
        f"  {key} = {value['default']} ({value['type']})",
        *([f"      {meaning}"] * bool(meaning)),
    ]

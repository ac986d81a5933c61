"""``benchbench run``: train what is missing, evaluate it, show the table."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchbench.cli import options
from benchbench.cli.report import print_json, print_tables
from benchbench.errors import BadParameter

if TYPE_CHECKING:
    from benchbench.plan.plan import Grid
    from benchbench.registry.registry import Registry
    from benchbench.run.request import RunRequest


def run(
    method: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:KEY=VALUE,…]", help="Method (repeatable). Default: lora."),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[@PROTOCOL][:KEY=VALUE,…]", help="Tasks, separated by commas."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="nano, nano-t5, a folder, or a hub id (ORG/NAME[@REVISION]).")
    ] = None,
    train_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK|MIX|FILE.toml",
            help="Train on this; default: the first task that can be trained on.",
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="N,N,…", help="Seeds of training. Default: 42.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Training setting (repeatable)."),
    ] = None,
    board: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run a board's entries instead.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help=f"{options.ENGINES}, or auto (default).")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="NAME@URL|MODEL",
            help="Who compares long-form outputs: a model at an endpoint, or one of our own.",
        ),
    ] = None,
    judge_set: options.JudgeSet = None,
    data: options.Data = None,
    out: options.Out = Path("runs"),
    dry_run: Annotated[bool, typer.Option(help="Show what would be done, and stop.")] = False,
    retry_failed: Annotated[bool, typer.Option(help="Try failed runs again.")] = False,
    devices: Annotated[
        int, typer.Option(min=1, metavar="N", help="Devices that share each training's steps.")
    ] = 1,
    shard: Annotated[
        bool, typer.Option(help="Share all weights among the devices, even if one could hold them.")
    ] = False,
    report_to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,NAME,…",
            help="Trackers that follow the training (repeatable): tensorboard, wandb, mlflow, …",
        ),
    ] = None,
    as_json: options.Json = False,
    plugin: options.Plugin = None,
    no_plugin: options.NoPlugin = None,
) -> None:
    """Train each method, evaluate it beside the base model, and show the table.

    Runs go to --out and are never repeated: the same command again goes on where it stopped.
    """
    from benchbench.cli.progress import reporter
    from benchbench.records.store import Store
    from benchbench.run.executor import ThisMachine
    from benchbench.run.march import run
    from benchbench.run.request import RunRequest

    registry = options.load_registry(no_plugin, plugin)
    flags = (method, tasks, model, train_on, seeds, setting)
    if board is None:
        grid = grid_of_flags(*flags)
    elif any((*flags, engine)):
        raise BadParameter(
            f"--board {board} says itself what to run; give it with --judge, --data, --out, "
            "--dry-run, --retry-failed, --report-to or --json only."
        )
    else:
        from benchbench.boards.board import read_board

        found = read_board(board)
        grid, engine = found.grid, found.engine
    request = RunRequest(
        grid=grid,
        store=Store(out),
        engine=engine or "auto",
        data_root=data,
        plugins=options.absolute(plugin),
        no_plugins=tuple(no_plugin or ()),
        devices=devices,
        sharded=shard,
        trackers=parse_trackers(report_to),
        retry_failed=retry_failed,
        judge=options.judge_request(judge, judge_set) if judge else None,
    )
    if judge_set and not judge:
        raise BadParameter("--judge-set is given without --judge; name the judge too.")
    if dry_run:
        return show_plan(request, registry, as_json)
    try:
        report = run(request, registry, ThisMachine(), reporter())
    except KeyboardInterrupt:
        typer.echo("stopped; the same command again goes on from here.", err=True)
        raise typer.Exit(130) from None
    (print_json if as_json else print_tables)(report, request.store)
    if not report.ok:
        raise typer.Exit(1)


def grid_of_flags(
    methods: list[str] | None,
    tasks: list[str] | None,
    model: str | None,
    train_on: list[str] | None,
    seeds: str | None,
    settings: list[str] | None,
) -> "Grid":
    """Return the grid that the flags describe."""
    from benchbench.plan.plan import Grid
    from benchbench.specs import MethodSpec, TaskSpec, parse_pairs, split_specs

    if train_on and len(train_on) > 1:
        raise BadParameter(
            f"--train-on is given {len(train_on)} times; to train on several tasks, name them in a "
            "mix, a file FILE.toml such as `benchbench show tulu-v1` shows, and give that."
        )
    return Grid(
        model=model or "nano",
        methods=tuple(MethodSpec.parse(text) for text in methods or ["lora"]),
        tasks=tuple(
            TaskSpec.parse(text) for group in tasks or ["super-ni"] for text in split_specs(group)
        ),
        train_on=train_on[0] if train_on else "",
        seeds=parse_seeds(seeds or "42"),
        train={k: v for text in settings or () for k, v in parse_pairs(text, text).items()},
    )


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read ``42,127,894``."""
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        seeds = ()
    if not seeds or not all(0 <= seed < 2**32 for seed in seeds):
        raise BadParameter(
            f"--seeds is {text!r}; it must be whole numbers from 0 to 4294967295 "
            "separated by commas, such as 42,127,894."
        )
    return seeds


def parse_trackers(texts: list[str] | None) -> tuple[str, ...]:
    """Read ``tensorboard,wandb``; refuse what cannot be reported to."""
    from benchbench.train import trackers

    parts = (part.strip() for text in texts or () for part in text.split(","))
    names = tuple(dict.fromkeys(filter(None, parts)))
    trackers.check(names)
    return names


def show_plan(request: "RunRequest", registry: "Registry", as_json: bool) -> None:
    """Print what a run would do: runs, requests and tokens, and what the store has."""
    from benchbench.cli import tables
    from benchbench.run.preview import preview

    rows = preview(request, registry)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    # The label says method, parameters and seed as shortly as tells the runs apart.
    hidden = ("method", "params", "seed", "used_memory_bytes")
    columns = sorted((key for key in rows[0] if key not in hidden), key="label".__ne__)
    shown = [row | {"memory": _memory(row["memory"], row["used_memory_bytes"])} for row in rows]
    tables.show("", shown, columns)


def _memory(estimate: dict[str, Any] | None, used: int | None) -> str:
    """Say what training is estimated to need, and what it used where that is known."""
    from benchbench.boards.table import size

    if estimate is None:
        return "–"
    needed = "unknown" if estimate["total"] is None else size(estimate["total"])
    return f"{needed} (used {size(used)})" if used else needed

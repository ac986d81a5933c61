"""``benchbench leaderboard``: records in, table out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchbench.boards.page import page, picture, write
from benchbench.cli.options import Data, NoPlugin, Out, load_registry
from benchbench.errors import BoardError

if TYPE_CHECKING:
    pass

app = typer.Typer(help="Build a board's table from its records.", no_args_is_help=True)

Board = Annotated[Path, typer.Argument(metavar="BOARD", help="Folder with a board.toml.")]


@app.command()
def submit(
    board: Board, out: Out = Path("runs"), data: Data = None, no_plugin: NoPlugin = None
) -> None:
    """Copy the records of a board's runs from --out into the board's folder."""
    from benchbench.boards.board import Membership, read_board
    from benchbench.records.store import Store, copy_record
    from benchbench.specs import canonical

    members = Membership.of(read_board(board), load_registry(no_plugin), data)
    store = Store(out)
    # Of several results of one run, such as against opponents of other seeds, the newest.
    found = sorted(store.read().results, key=lambda each: each.created)
    newest = {(r.run_id, canonical(r.spec.task)): r for r in found if r in members and r.is_scored}
    results = list(newest.values())
    unjudged = {r.run_id for r in found if r in members and not r.is_scored}
    if left := unjudged - {r.run_id for r in results}:
        typer.echo(
            f"left out {len(left)} runs whose outputs are not judged; run "
            f"`benchbench run --board {board} --judge NAME@URL` first"
        )
    copied = 0
    for result in results:
        if not result.publishable:
            typer.echo(f"left out {result.run_id}: not publishable (parity or missing samples)")
            continue
        folder = board / "records" / result.run_id
        paths = {
            "run": store.run_path(result.run_id),
            result.spec.key: store.result_path(result.run_id, result.spec),
        }
        for name, path in paths.items():
            if not (folder / f"{name}.json").exists():
                copy_record(path, folder / f"{name}.json")
                copied += 1
    typer.echo(f"{len(results)} results of the board in {out}, {copied} new records copied")


@app.command()
def build(board: Board) -> None:
    """Rank a board's records: writes leaderboard.json and README.md beside them."""
    from benchbench.boards.board import read_board
    from benchbench.boards.chart import chart
    from benchbench.boards.rank import tables, to_json
    from benchbench.boards.table import columns, score_rows
    from benchbench.cli.tables import show
    from benchbench.records.record import RunRecord, TaskResult
    from benchbench.records.store import read_records

    wanted = read_board(board)
    folder = board / "records"
    runs = read_records(folder.glob("*/run.json"), RunRecord)
    results = read_records(folder.glob("*/*@*.json"), TaskResult)
    if not results:
        raise BoardError(
            f"{str(folder)!r} holds no results; run `benchbench run --board {board}` and then "
            f"`benchbench leaderboard submit {board}`."
        )
    ranked = tables(runs, results)
    text = json.dumps(to_json(wanted.title, ranked), indent=1, allow_nan=False)
    write(board / "leaderboard.json", text + "\n")
    write(board / "README.md", page(wanted.title, ranked, results))
    for label, rows in ranked.items():
        write(board / picture(label), chart(f"{wanted.title}: {label}", rows))
        show(label, score_rows(rows), columns(rows))

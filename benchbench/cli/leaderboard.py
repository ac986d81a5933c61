"""``benchbench leaderboard``: records in, table out."""

from pathlib import Path
from typing import Annotated

import typer

from benchbench.cli.options import Data, NoPlugin, Out, load_registry

app = typer.Typer(help="Build a board's table from its records.", no_args_is_help=True)

Board = Annotated[Path, typer.Argument(metavar="BOARD", help="Folder with a board.toml.")]


@app.command()
def submit(
    board: Board, out: Out = Path("runs"), data: Data = None, no_plugin: NoPlugin = None
) -> None:
    """Copy the records of a board's runs from --out into the board's folder."""
    from benchbench.boards.board import Membership, read_board
    from benchbench.boards.submit import submit
    from benchbench.records.store import Store

    members = Membership.of(read_board(board), load_registry(no_plugin), data)
    found = submit(board, members, Store(out))
    if found.unjudged:
        typer.echo(
            f"left out {len(found.unjudged)} runs whose outputs are not judged; run "
            f"`benchbench run --board {board} --judge NAME@URL` first"
        )
    for result in found.unpublishable:
        typer.echo(f"left out {result.run_id}: not publishable (parity or missing samples)")
    typer.echo(
        f"{len(found.results)} results of the board in {out}, {found.copied} new records copied"
    )


@app.command()
def build(board: Board) -> None:
    """Rank a board's records: writes leaderboard.json and README.md beside them."""
    from benchbench.boards.page import build
    from benchbench.boards.table import columns, score_rows
    from benchbench.cli.tables import show

    for label, rows in build(board).items():
        show(label, score_rows(rows), columns(rows))

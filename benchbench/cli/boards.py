"""``benchbench leaderboard``: records in, table out."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchbench.cli.options import Data, NoPlugin, Out, load_registry
from benchbench.errors import BoardError, StoreError

if TYPE_CHECKING:
    from benchbench.leaderboard import Row
    from benchbench.records.record import TaskResult

app = typer.Typer(help="Build a board's table from its records.", no_args_is_help=True)

Board = Annotated[Path, typer.Argument(metavar="BOARD", help="Folder with a board.toml.")]


@app.command()
def submit(
    board: Board, out: Out = Path("runs"), data: Data = None, no_plugin: NoPlugin = None
) -> None:
    """Copy the records of a board's runs from --out into the board's folder."""
    from benchbench.board import Membership, read_board
    from benchbench.records.store import Store, copy_record
    from benchbench.specs import canonical

    members = Membership.of(read_board(board), load_registry(no_plugin), data)
    store = Store(out)
    # Of several results of one run, such as against opponents of other seeds, the newest.
    found = sorted(store.results(), key=lambda each: each.created)
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
    from benchbench.board import read_board
    from benchbench.chart import chart
    from benchbench.cli.tables import columns, score_rows, show
    from benchbench.leaderboard import tables, to_json
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


def page(title: str, ranked: "Mapping[str, Sequence[Row]]", results: "Sequence[TaskResult]") -> str:
    """Return a board's README.md."""
    from benchbench.cli.tables import columns, markdown, score_rows
    from benchbench.leaderboard import by_task

    parts = [
        f"# {escape(title, quote=False)}",
        "",
        "Built by `benchbench leaderboard build .` in this folder.",
    ]
    found = by_task(results)
    for label, rows in ranked.items():
        parts += [
            "",
            f"## {escape(label)}",
            "",
            *caption(found[label], rows),
            f"![scores with their intervals]({picture(label)})",
            "",
            markdown(score_rows(rows), columns(rows)),
        ]
    return "\n".join(parts) + "\n"


def caption(results: "Sequence[TaskResult]", rows: "Sequence[Row]") -> list[str]:
    """Return the paragraphs that say what a table's numbers are."""
    from benchbench.cli.tables import span, verdicts

    result = results[0]
    engine = result.spec.engine
    parts = [
        f"{escape(result.metric)} ×100 on {escape(result.run.model.name)}, n = {result.n}, "
        f"data: {result.spec.data.source}, task version {result.spec.task.version}, served by "
        f"{engine.name} {engine.version} in {engine.dtype} on {engine.device}. Intervals are "
        f"95 %, bootstrapped over each {result.cluster}. Parity is the largest difference between "
        "a log-probability as trained and as served; time and memory are those of the training "
        "steps alone.",
        "",
    ]
    if any(each.run.train and each.run.train.validation for each in results):
        parts += ["Of each training, the weights that did best on held-out samples are scored.", ""]
    if result.spec.judge:
        judge, opponent = result.spec.judge, result.spec.opponent.partition(":")[0]
        parts += [
            f"Judged by {escape(judge.model)} (revision {escape(judge.revision)}, "
            f"{escape(judge.served_by)}) against the "
            f"{opponent.replace('-', ' ')}'s answers, in both orders; a tie counts half. "
            f"{verdicts(rows, result.spec.opponent)} "
            '"Length-adjusted" is the win rate at equal lengths; "tokens" and "unique" are the '
            "mean length of an answer and its mean number of different tokens.",
            "",
        ]
    compared = [row for row in rows if row.difference is not None]
    if compared:
        parts += [
            "“To full” is the paired difference to full finetuning on the same samples, and p its "
            f"two-sided p-value by sign flips over each {result.cluster} (for scores of 0 and 1 on "
            "single samples: McNemar's exact test), adjusted by Holm's method for all comparisons "
            f"of the table ({len(compared)}). The verdict is “unclear” where no difference is "
            "shown: p is above 0.05, the interval holds 0, or other seeds may well give as much "
            f"(here {span([row.noise for row in compared])}). The smallest difference that these "
            f"samples show 4 times in 5 is {span([row.detectable for row in compared])}, by entry "
            "in `leaderboard.json`.",
            "",
        ]
    return parts


def picture(label: str) -> str:
    """Return a file name for a task's picture; labels may be a stranger's."""
    return re.sub(r"[^\w@.-]", "_", label).strip(".") + ".svg"


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(".part")
    try:
        part.write_text(text)
        os.replace(part, path)
    except OSError as error:
        raise StoreError(f"cannot write {str(path)!r} ({error.strerror}).") from error

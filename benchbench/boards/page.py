"""A board's page: its tables, charts, and what they rest on."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from benchbench import files
from benchbench.boards.board import read_board
from benchbench.boards.chart import chart
from benchbench.boards.markdown import markdown
from benchbench.boards.rank import Row, by_task, tables, to_json
from benchbench.boards.table import columns, meanings, score_rows, span, verdicts
from benchbench.errors import BoardError, StoreError
from benchbench.records.record import RunRecord, TaskResult
from benchbench.records.store import read_records


def build(board: Path) -> dict[str, list[Row]]:
    """Rank a board's records, write its files beside them, and return its tables.

    Raises BoardError where there are none, or where they cannot stand in one table.
    """
    title = read_board(board).title
    runs = read_records((board / "records").glob("*/run.json"), RunRecord)
    results = read_records((board / "records").glob("*/*@*.json"), TaskResult)
    if not results:
        raise BoardError(
            f"{str(board / 'records')!r} holds no results; run `benchbench run --board {board}` "
            f"and then `benchbench leaderboard submit {board}`."
        )
    ranked = tables(runs, results)
    data = json.dumps(to_json(title, ranked), indent=1, allow_nan=False)
    contents = {"leaderboard.json": f"{data}\n", "README.md": page(title, ranked, results)}
    contents |= {picture(task): chart(f"{title}: {task}", rows) for task, rows in ranked.items()}
    for name, text in contents.items():
        try:
            files.write(board / name, text.encode())
        except OSError as error:
            raise StoreError(f"cannot write {str(board / name)!r} ({error.strerror}).") from error
    return ranked


def page(title: str, ranked: Mapping[str, Sequence[Row]], results: Sequence[TaskResult]) -> str:
    """Return a board's README.md."""
    parts = [
        f"# {escape(title, quote=False)}",
        "Built by `benchbench leaderboard build .` in this folder.",
    ]
    for label, found in by_task(results).items():
        rows = ranked[label]
        parts += [
            f"## {escape(label)}",
            *caption(found, rows, by_entry=", by entry in `leaderboard.json`"),
            f"![scores with their intervals]({picture(label)})",
            markdown(score_rows(rows), columns(rows)),
        ]
    return "\n\n".join(parts) + "\n"


def caption(
    results: Sequence[TaskResult],
    rows: Sequence[Row],
    shown: Callable[[str], str] = escape,
    by_entry: str = "",
) -> Iterator[str]:
    """Yield the paragraphs that say what a table's numbers are.

    ``shown`` is what is done to names, which may be a stranger's; ``by_entry`` says where what is
    given for a whole table stands for each of its rows.
    """
    result = results[0]
    spec, cluster = result.spec, shown(result.cluster)
    yield (
        f"{shown(result.metric)} ×100 on {shown(result.run.model.name)}, n = {result.n}, "
        f"data: {spec.data.source}, task version {spec.task.version}, served by "
        f"{shown(spec.engine.name)} {shown(spec.engine.version)} in {spec.engine.dtype} on "
        f"{shown(spec.engine.device)}. {meanings(rows, cluster, 'table')}"
    )
    if any(each.run.train and each.run.train.validation for each in results):
        yield "Of each training, the weights that did best on held-out samples are scored."
    if judge := spec.judge:
        opponent = shown(spec.opponent.partition(":")[0].replace("-", " "))
        yield (
            f"Judged by {shown(judge.model)} (revision {shown(judge.revision)}, "
            f"{shown(judge.served_by)}) against the {opponent}'s answers, in both orders; a tie "
            f"counts half. {verdicts(rows, spec.opponent)} {meanings(rows, cluster, 'judge')}"
        )
    if any(row.difference for row in rows):
        yield (
            f"{meanings(rows, cluster, 'comparison')} The smallest difference that these samples "
            f"show 4 times in 5 is {span([row.detectable for row in rows])}{by_entry}."
        )


def picture(label: str) -> str:
    """Return a file name for a task's picture; labels may be a stranger's."""
    return re.sub(r"[^\w@.-]", "_", label).strip(".") + ".svg"

"""A board's page: its tables, charts, and what they rest on."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from benchbench import files
from benchbench.boards.rank import Row
from benchbench.errors import StoreError
from benchbench.records.record import TaskResult


def page(title: str, ranked: "Mapping[str, Sequence[Row]]", results: "Sequence[TaskResult]") -> str:
    """Return a board's README.md."""
    from benchbench.boards.markdown import markdown
    from benchbench.boards.rank import by_task
    from benchbench.boards.table import columns, score_rows

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
    from benchbench.boards.table import span, verdicts

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
    try:
        files.write(path, text.encode())
    except OSError as error:
        raise StoreError(f"cannot write {str(path)!r} ({error.strerror}).") from error

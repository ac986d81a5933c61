"""Tables for people: framed on a terminal, aligned columns in a pipe."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from benchbench.leaderboard import Interval, Row
from benchbench.records.record import NO_VERDICT, REFERENCE, STEADY

SCORE_COLUMNS = (
    "method",
    "score",
    "95% interval",
    "to full",
    "p",
    "verdict",
    "seeds",
    "trainable",
    "time",
    "memory",
    "parity",
)
JUDGED_COLUMNS = ("length-adjusted", "tokens", "unique")
"""What long-form outputs are told by too, after the seeds: judges favour length."""
SENTENCE = 30
"""Characters from which a cell may be broken over lines on a terminal."""


def show(title: str, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> None:
    """Print rows on stdout."""
    if sys.stdout.isatty():
        _framed(title, rows, columns)
    else:
        print("\n".join(aligned(title, rows, columns)))


def aligned(title: str, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> Iterable[str]:
    """Yield lines with columns as wide as their widest cell."""
    cells = [tuple(columns), *(tuple(row[c] for c in columns) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if title:
        yield title
    for line in cells:
        yield "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()


def markdown(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    escaped = ([escape(cell, quote=False).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def columns(rows: Sequence[Row]) -> Sequence[str]:
    """Return the columns of a table."""
    if not any(row.judge for row in rows):
        return SCORE_COLUMNS
    place = SCORE_COLUMNS.index("seeds") + 1
    return (*SCORE_COLUMNS[:place], *JUDGED_COLUMNS, *SCORE_COLUMNS[place:])


def verdicts(rows: Sequence[Row], opponent: str) -> str:
    """Say how a table's judge answered, by which a reader may doubt it; nobody else checked it."""
    asked = [r for r in rows if not (r.role == "reference" and opponent.startswith(REFERENCE))]
    if not asked:
        return (
            "The reference's answers are compared with themselves, and no judge is asked of that."
        )
    same, neither = (span([r.other_scores.get(key) for r in asked]) for key in (STEADY, NO_VERDICT))
    return (
        f"The judge said the same in both orders in {same} % of the comparisons and named neither "
        f"answer in {neither} % of the questions; `benchbench judge check` says what it is worth."
    )


def score_rows(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return a leaderboard's rows as text; scores ×100."""
    return [
        {
            "method": row.label + ("" if row.publishable else " (not publishable)"),
            "score": f"{100 * row.score.value:.2f}",
            "95% interval": interval(row.score),
            "to full": _signed(row.difference),
            "p": _probability(row.p_value),
            "verdict": row.verdict or "–",
            "seeds": str(len(row.seeds)),
            "length-adjusted": _percent(row.other_scores.get("length_adjusted_win_rate")),
            "tokens": _count(row.output_tokens),
            "unique": _count(row.unique_tokens),
            "trainable": _share(row.trainable_parameters, row.total_parameters),
            "time": seconds(row.train_seconds),
            "memory": size(row.peak_memory_bytes),
            "parity": "unknown" if row.parity is None else f"{row.parity:.1e}",
        }
        for row in rows
    ]


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.2f}"


def _count(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f}"


def interval(value: Interval) -> str:
    """Write an interval ×100; unknown where the data give none."""
    if value.low is None or value.high is None:
        return "unknown"
    return f"{100 * value.low:.2f} to {100 * value.high:.2f}"


def span(values: Sequence[float | None]) -> str:
    """Write the smallest and the largest of the known values ×100."""
    known = sorted(100 * value for value in values if value is not None)
    return f"{known[0]:.2f} to {known[-1]:.2f}" if known else "unknown"


def seconds(value: float | None) -> str:
    if not value:
        return "–"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def size(value: int | None) -> str:
    if value is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value = round(value / 1000) if unit == "B" else value // 1000
    return f"{value} {unit}"


def _signed(value: Interval | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value.value:+.2f} ({interval(value)})"


def _probability(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def _share(part: int | None, whole: int | None) -> str:
    if part is None or not whole:
        return "–"
    return f"{part:,} ({100 * part / whole:.2f} %)"


def _framed(title: str, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for number, part in enumerate(split(rows, columns, console.width)):
        table = Table(title=None if number else title or None, title_justify="left")
        for column in part:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(row[c]) for c in part))
        console.print(table)


def split(
    rows: Sequence[Mapping[str, str]], columns: Sequence[str], width: int
) -> list[tuple[str, ...]]:
    """Share columns among tables that fit a terminal, each begun with the first column."""
    # Of each cell's frame: a line and a space on both sides; one more line ends the table.
    needs = {c: 3 + min(SENTENCE, max(map(len, [c, *(r[c] for r in rows)]))) for c in columns}
    first, *others = columns
    parts = [[first]]
    for column in others:
        if len(parts[-1]) > 1 and 1 + sum(needs[c] for c in [*parts[-1], column]) > width:
            parts.append([first])
        parts[-1].append(column)
    return [tuple(part) for part in parts]

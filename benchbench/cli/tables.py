"""Tables for people: framed on a terminal, aligned columns in a pipe."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SENTENCE = 30
"""Characters from which a cell may be broken over lines on a terminal."""


def show(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows on stdout; an unknown value, None, leaves its cell empty."""
    shown = [{column: _text(row[column]) for column in columns} for row in rows]
    if sys.stdout.isatty():
        _framed(title, shown, columns)
    else:
        print("\n".join(aligned(title, shown, columns)))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def aligned(title: str, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> Iterable[str]:
    """Yield lines with columns as wide as their widest cell."""
    cells = [tuple(columns), *(tuple(row[c] for c in columns) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if title:
        yield title
    for line in cells:
        yield "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()


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

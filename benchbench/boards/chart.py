"""A table as a picture: one dot with its interval for each entry. Pure: rows -> SVG text."""

from collections.abc import Sequence
from html import escape

from benchbench.boards.rank import Row

WIDTH = 720
LEFT = 150
RIGHT = 80
ROW = 34
TOP = 46
COLOURS = {"base": "#888888", "reference": "#b3541e", "candidate": "#1f6f8b"}


def chart(title: str, rows: Sequence[Row]) -> str:
    """Return an SVG with a row for each entry; scores ×100, from 0 to a round maximum."""
    top = _round_up(max(100 * (row.score.high or row.score.value) for row in rows))
    height = TOP + ROW * len(rows) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13" '
        f'role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" fill="#222222">{escape(title)}</text>',
        *_axis(top, height),
        *(mark for number, row in enumerate(rows) for mark in _entry(number, row, top)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axis(top: int, height: int) -> list[str]:
    bottom = height - 34
    marks = []
    for step in range(6):
        value = top * step / 5
        x = _x(value, top)
        marks += [
            f'<line x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{bottom}" stroke="#dddddd"/>',
            f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" fill="#555555">{value:g}</text>',
        ]
    return marks


def _entry(number: int, row: Row, top: int) -> list[str]:
    y = TOP + ROW * number + ROW // 2
    colour = COLOURS[row.role]
    score = 100 * row.score.value
    marks = [f'<text x="12" y="{y + 4}" fill="#222222">{escape(row.label)}</text>']
    if row.score.low is not None and row.score.high is not None:
        left, right = _x(100 * row.score.low, top), _x(100 * row.score.high, top)
        marks.append(
            f'<line x1="{left}" y1="{y}" x2="{right}" y2="{y}" stroke="{colour}" '
            'stroke-width="3" stroke-opacity="0.45"/>'
        )
    return [
        *marks,
        f'<circle cx="{_x(score, top)}" cy="{y}" r="5" fill="{colour}"/>',
        f'<text x="{WIDTH - RIGHT + 20}" y="{y + 4}" fill="#222222">{score:.1f}</text>',
    ]


def _x(value: float, top: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * value / top, 1)


def _round_up(value: float) -> int:
    """Return the next multiple of 10, at least 10 and at most 100."""
    return min(100, max(10, -int(-value // 10) * 10))

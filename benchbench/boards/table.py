"""A ranked table as text: its columns, and what they mean."""

from collections.abc import Sequence

from benchbench.boards.rank import Interval, Row
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

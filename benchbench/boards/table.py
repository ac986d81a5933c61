"""A ranked table as text: its columns, and what they mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from benchbench.boards.rank import Interval, Row
from benchbench.records.record import LENGTH_ADJUSTED, NO_VERDICT, REFERENCE, STEADY

Topic = Literal["table", "judge", "comparison"]


@dataclass(frozen=True)
class Column:
    """A column of every table: on pages, cards and terminals."""

    heading: str
    text: Callable[[Row], str]
    """Of a row; scores ×100."""
    meaning: str = ""
    """In a sentence, which columns may share, with fields that ``meanings`` fills in."""
    topic: Topic = "table"
    """``judge``: only tables of judged results have it, as judges favour length; ``comparison``: it
    means nothing in a table without one."""


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


def columns(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the headings of a table."""
    judged = any(row.judge for row in rows)
    return tuple(each.heading for each in COLUMNS if each.topic != "judge" or judged)


def score_rows(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return a leaderboard's rows as text, by heading."""
    return [{each.heading: each.text(row) for each in COLUMNS} for row in rows]


def meanings(rows: Sequence[Row], cluster: str, topic: Topic) -> str:
    """Say what a table's columns on a topic mean; ``cluster`` is what intervals are drawn over."""
    compared = [row for row in rows if row.difference is not None]
    facts = {
        "cluster": cluster,
        "comparisons": len(compared),
        "noise": span([row.noise for row in compared]),
    }
    said = [each.meaning.format(**facts) for each in COLUMNS if each.topic == topic]
    return " ".join(dict.fromkeys(filter(None, said)))


def _known(value: float | None, form: str, unit: int = 1) -> str:
    return "unknown" if value is None else format(unit * value, form)


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


STEPS = (
    "Parity is the largest difference between a log-probability as trained and as served; time and "
    "memory are those of the training steps alone."
)
LENGTH = (
    '"Length-adjusted" is the win rate at equal lengths; "tokens" and "unique" are the mean length '
    "of an answer and its mean number of different tokens."
)
DIFFERENCE = (
    "“To full” is the paired difference to full finetuning on the same samples, and p its "
    "two-sided p-value by sign flips over each {cluster} (for scores of 0 and 1 on single samples: "
    "McNemar's exact test), adjusted by Holm's method for all comparisons of the table "
    "({comparisons})."
)
VERDICT = (
    "The verdict is “unclear” where no difference is shown: p is above 0.05, the interval holds 0, "
    "or other seeds may well give as much (here {noise})."
)

COLUMNS = (
    Column("method", lambda row: row.label + " (not publishable)" * (not row.publishable)),
    Column("score", lambda row: f"{100 * row.score.value:.2f}"),
    Column(
        "95% interval",
        lambda row: interval(row.score),
        "Intervals are 95 %, bootstrapped over each {cluster}.",
    ),
    Column("to full", lambda row: _signed(row.difference), DIFFERENCE, "comparison"),
    Column("p", lambda row: _probability(row.p_value), DIFFERENCE, "comparison"),
    Column("verdict", lambda row: row.verdict or "–", VERDICT, "comparison"),
    Column("seeds", lambda row: str(len(row.seeds))),
    Column(
        "length-adjusted",
        lambda row: _known(row.other_scores.get(LENGTH_ADJUSTED), ".2f", 100),
        LENGTH,
        "judge",
    ),
    Column("tokens", lambda row: _known(row.output_tokens, ".0f"), LENGTH, "judge"),
    Column("unique", lambda row: _known(row.unique_tokens, ".0f"), LENGTH, "judge"),
    Column("trainable", lambda row: _share(row.trainable_parameters, row.total_parameters)),
    Column("time", lambda row: seconds(row.train_seconds), STEPS),
    Column("memory", lambda row: size(row.peak_memory_bytes), STEPS),
    Column("parity", lambda row: _known(row.parity, ".1e"), STEPS),
)
"""In their order from left to right."""

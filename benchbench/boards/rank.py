"""Records -> a ranked table. Pure: reads no files and runs nothing.

Results are put in one table only if everything but the method and its seed is equal
(``boards.comparable``); otherwise what differs is named with both values.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import mean, stdev
from typing import Any, Literal

from benchbench import stats
from benchbench.boards.comparable import refuse_incomparable
from benchbench.errors import BoardError
from benchbench.records.record import REFERENCE, RunRecord, TaskResult
from benchbench.specs import MethodSpec, Role, TaskSpec, _differing, canonical, labels

Verdict = Literal["better", "worse", "unclear"]
"""How an entry compares with the reference; ``unclear``: no difference is shown, which does not
say that there is none."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with its 95 % interval; an end is None where it is not known."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One entry: a method with its hyperparameters, over its seeds."""

    label: str
    method: MethodSpec
    role: Role
    seeds: tuple[int, ...]
    run_ids: tuple[str, ...]
    score: Interval
    """Mean over samples of the mean over seeds; interval over the task's clusters."""
    seed_deviation: float | None
    """Standard deviation over seeds; None with fewer than two."""
    difference: Interval | None = None
    """To the reference method, on the same samples; None without one, and for itself."""
    p_value: float | None = None
    """Of the difference, two-sided, adjusted for all comparisons of the table (Holm)."""
    detectable: float | None = None
    """Smallest difference that these samples show 4 times in 5; None where it is not known."""
    noise: float | None = None
    """Smaller differences are what other seeds may give; None where neither has several."""
    verdict: Verdict | None = None
    other_scores: Mapping[str, float] = field(default_factory=dict)
    """Metric -> mean over seeds of the mean over samples, for all but the primary one."""
    output_tokens: float | None = None
    """Mean length of the completions."""
    unique_tokens: float | None = None
    """Mean number of different tokens in a completion."""
    judge: str | None = None
    """Who judged; None in a task without a judge."""
    n: int
    trainable_parameters: int | None
    total_parameters: int | None
    train_seconds: float | None
    peak_memory_bytes: int | None
    peak_memory_kind: str | None
    bytes: int | None
    parity: float | None
    """Largest difference of a log-probability over the seeds."""
    publishable: bool


def tables(runs: Iterable[RunRecord], results: Iterable[TaskResult]) -> dict[str, list[Row]]:
    """Return one ranked table for each task, by its title."""
    known = {run.run_id: run for run in runs}
    return {title: rank(known, found) for title, found in by_task(results).items()}


def by_task(results: Iterable[TaskResult]) -> dict[str, list[TaskResult]]:
    """Return the results of each task, by its label and, where needed, its parameters.

    A result without scores, which a judge has yet to give, is left out.
    """
    found: dict[str, list[TaskResult]] = defaultdict(list)
    for result in results:
        if result.scores:
            found[canonical(result.spec.task)].append(result)
    specs = [each[0].spec.task for each in found.values()]
    return {_title(each[0].spec.task, specs): each for _, each in sorted(found.items())}


def rank(runs: Mapping[str, RunRecord], results: Sequence[TaskResult]) -> list[Row]:
    """Return the entries of one task, best first.

    "To the reference" is to its best-scoring entry, where it was run with several hyperparameters.
    """
    refuse_incomparable(results)
    entries: dict[str, list[TaskResult]] = defaultdict(list)
    for result in results:
        if result.run_id not in runs:
            raise BoardError(f"a result of run {result.run_id} has no run record beside it.")
        entries[canonical(result.run.method)].append(result)
    named = labels([found[0].run.method for found in entries.values()])
    references = [found for found in entries.values() if runs[found[0].run_id].role == "reference"]
    best = max(references, key=lambda found: mean(r.primary.value for r in found), default=None)
    rows = [
        _compare(_row(label, runs, found), found, best)
        for label, found in zip(named, entries.values(), strict=True)
    ]
    return sorted(_with_verdicts(rows), key=lambda row: -row.score.value)


def verdict(difference: Interval, p_value: float, noise: float | None) -> Verdict:
    """Say what a difference shows: its sign, if everything that could explain it away fails to.

    That is chance over the table's comparisons (the adjusted p-value), chance in this one (the
    interval), and other seeds (the noise floor, where it is known).
    """
    low, high = difference.low, difference.high
    if low is None or high is None or low <= 0 <= high:
        return "unclear"
    if p_value > stats.ALPHA or abs(difference.value) <= (noise or 0.0):
        return "unclear"
    return "better" if difference.value > 0 else "worse"


def to_json(title: str, found: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """Return a board as plain data; scores are proportions in [0, 1]."""
    return {
        "schema": 1,
        "title": title,
        "unit": "proportion",
        "tables": {label: [asdict(row) for row in rows] for label, rows in found.items()},
    }


def _row(label: str, runs: Mapping[str, RunRecord], found: Sequence[TaskResult]) -> Row:
    estimate = stats.micro_mean(list(_seed_mean(found).values()))
    costs = [cost for r in found if (cost := runs[r.run_id].cost) is not None]
    artefact = runs[found[0].run_id].artefact
    differences = [r.parity.max_difference for r in found if r.parity is not None]
    each = [result.primary.value for result in found]
    return Row(
        label=label,
        method=found[0].run.method,
        role=runs[found[0].run_id].role,
        seeds=tuple(sorted(r.run.seed for r in found)),
        run_ids=tuple(sorted(r.run_id for r in found)),
        score=Interval(value=estimate.value, low=estimate.low, high=estimate.high),
        seed_deviation=stdev(each) if len(each) > 1 else None,
        other_scores=_other_scores(found),
        output_tokens=_mean([r.output_tokens for r in found]),
        unique_tokens=_mean([r.unique_tokens for r in found]),
        judge=found[0].spec.judge.model if found[0].spec.judge else None,
        n=found[0].n,
        trainable_parameters=costs[0].trainable_parameters if costs else None,
        total_parameters=costs[0].total_parameters if costs else None,
        train_seconds=_mean([c.train_seconds for c in costs]),
        peak_memory_bytes=max((c.peak_memory_bytes or 0 for c in costs), default=0) or None,
        peak_memory_kind=costs[0].peak_memory_kind if costs else None,
        bytes=artefact.bytes if artefact else None,
        parity=max((d for d in differences if d is not None), default=None),
        publishable=all(r.publishable for r in found),
    )


def _noise(found: Sequence[TaskResult], reference: Sequence[TaskResult]) -> float | None:
    if found[0].spec.opponent.startswith(REFERENCE):
        return None  # the reference ties with itself whatever its seed, which says nothing of noise
    first, second = ([result.primary.value for result in each] for each in (found, reference))
    return stats.noise_floor(first, second)


def _other_scores(found: Sequence[TaskResult]) -> dict[str, float]:
    # Of those that every seed has: a mean over some would stand beside a score over all.
    each = ({s.metric for s in result.scores if s.metric != result.metric} for result in found)
    names = set.intersection(*each)
    return {
        name: mean(
            s.value for r in found for s in r.scores if (s.metric, s.mean) == (name, "micro")
        )
        for name in sorted(names)
    }


def _compare(row: Row, found: Sequence[TaskResult], reference: Sequence[TaskResult] | None) -> Row:
    """Return a row with what its comparison gives alone, its p-value not yet adjusted."""
    if reference is None or reference is found:
        return row
    groups, others = _seed_mean(found), _seed_mean(reference)
    estimate = stats.paired_difference(groups, others)
    return replace(
        row,
        difference=Interval(value=estimate.value, low=estimate.low, high=estimate.high),
        p_value=stats.p_value(groups, others),
        detectable=stats.detectable(estimate.error),
        noise=_noise(found, reference),
    )


def _with_verdicts(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows with p-values adjusted for the whole table, and verdicts."""
    adjusted = iter(stats.holm([row.p_value for row in rows if row.p_value is not None]))
    for row in rows:
        if row.difference is None:
            yield row
        else:
            p_value = next(adjusted)
            given = verdict(row.difference, p_value, row.noise)
            yield replace(row, p_value=p_value, verdict=given)


def _seed_mean(found: Sequence[TaskResult]) -> dict[str, stats.Group]:
    """Return the primary metric's sums by cluster, averaged over seeds.

    Where the mean is over clusters, each counts as one.
    """
    clusters = [result.clusters for result in found]
    weights = {
        name: group.n if found[0].mean == "micro" else 1 for name, group in clusters[0].items()
    }
    return {
        name: stats.Group(mean(c[name].means[found[0].metric] * weight for c in clusters), weight)
        for name, weight in weights.items()
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return mean(known) if known else None


def _title(task: TaskSpec, tasks: Sequence[TaskSpec]) -> str:
    """Return a task's label, with the parameters that tell it from its namesakes."""
    namesakes = [t for t in tasks if t.label == task.label]
    return " ".join([task.label, *_differing(task.params, [t.params for t in namesakes])])

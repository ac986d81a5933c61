"""What ``benchbench run`` prints at its end: tables for people, or JSON for machines."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchbench.records.record import RunRecord, TaskResult
    from benchbench.run.request import Report

KEYS = (
    "method params role model task protocol task_version metric score ci unit n n_missing "
    "n_truncated scores seed run_id status reason data engine judge output_tokens unique_tokens "
    "route parity publishable cost selection instabilities bytes record"
).split()
"""Of an object, in their order."""


def print_tables(report: "Report", store: Any) -> None:
    """Print one table a task, then what failed, then where the records are."""
    from benchbench.boards import table
    from benchbench.boards.rank import by_task
    from benchbench.boards.rank import tables as rank_all
    from benchbench.cli import tables

    results = by_task(report.known_results)
    for label, rows in rank_all(report.known_runs, report.known_results).items():
        primary = results[label][0]
        title = (
            f"{label} on {report.plan.model.spec.name}: {primary.metric} ×100, "
            f"n = {primary.n}, data: {primary.spec.data.source}"
        )
        if primary.spec.judge:
            title += f", judged by {primary.spec.judge.model}"
        tables.show(title, table.score_rows(rows), table.columns(rows))
        if primary.spec.judge:
            print(table.verdicts(rows, primary.spec.opponent))
    for record in report.runs:
        if record.status != "done":
            print(f"{record.label}: {record.status}: {record.reason}")
        if record.run_id in report.refused:
            print(f"{record.label}: not served: {report.refused[record.run_id]}")
        for (run_id, _), why in report.unjudged.items():
            if run_id == record.run_id:
                print(f"{record.label}: not judged: {why}")
    for result in report.final_results:
        if why := _unpublishable(result):
            print(f"{result.run.method.name} on {result.spec.task.label}: not publishable: {why}")
    if not report.results:
        return
    print("records:")
    for result in report.final_results:
        print(f"  {store.result_path(result.run_id, result.spec)}")


def _unpublishable(result: "TaskResult") -> str:
    """Say why a result cannot be published; nothing where it can."""
    if result.publishable:
        return ""
    if result.n_missing:
        return f"{result.n_missing} of {result.n} samples are missing; --retry-failed tries again"
    if result.parity is None or not result.parity.passed:
        return "what is served is not what was trained, or was not compared"
    return "its judge gave no verdict too often"


def print_json(report: "Report", store: Any) -> None:
    """Print an array with one object a result, and one a run that left none; keys are the same."""
    runs = {record.run_id: record for record in report.runs}
    rows = [_result_json(r, runs[r.run_id], store) for r in report.final_results]
    rows += [_run_json(r, r.status, r.reason) for r in report.runs if r.status != "done"]
    rows += [_run_json(runs[run_id], "not_served", why) for run_id, why in report.refused.items()]
    for row in rows:
        label = f"{row['task']}@{row['protocol']}"
        row["reason"] = report.unjudged.get((row["run_id"], label), row["reason"])
    json.dump(rows, sys.stdout, indent=1, allow_nan=False, default=asdict)
    print()


def _run_json(record: "RunRecord", status: str, reason: str | None) -> dict[str, Any]:
    """Return what is known of a run that has no result; what only a result tells is null."""
    spec = record.spec
    return (
        dict.fromkeys(KEYS)
        | _named(record, record.artefact)
        | {
            "method": spec.method.name,
            "params": dict(spec.method.params),
            "model": spec.model.name,
            "unit": "proportion",
            "n": 0,
            "seed": spec.seed,
            "run_id": record.run_id,
            "status": status,
            "reason": reason,
        }
    )


def _result_json(result: "TaskResult", record: "RunRecord", store: Any) -> dict[str, Any]:
    spec = result.spec
    score = result.primary if result.is_scored else None
    row = _run_json(record, record.status if score else "not_judged", None)
    return (
        row
        | _named(result, spec)
        | {
            "task": spec.task.name,
            "protocol": spec.task.protocol,
            "task_version": spec.task.version,
            "score": score.value if score else None,
            "ci": [score.low, score.high] if score else None,
            "data": spec.data.source,
            "route": row["route"],
            "publishable": result.publishable,
            "record": str(store.result_path(result.run_id, spec)),
        }
    )


def _named(*parts: Any) -> dict[str, Any]:
    """Return those fields of dataclasses that an object has under the same names."""
    return {k: v for part in parts if part for k, v in vars(part).items() if k in KEYS}

"""What a model card says of a training and its scores, in sentences and tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchbench.boards.markdown import code, inert, markdown, unmarked
from benchbench.boards.page import caption
from benchbench.boards.rank import rank
from benchbench.boards.table import columns, score_rows, seconds, size
from benchbench.publish.push import Publication
from benchbench.records.record import RunRecord, TaskResult


def training(record: RunRecord) -> list[str]:
    """Say what was trained how."""
    spec, train = record.spec, record.spec.train
    assert train is not None
    params = ", ".join(code(f"{k}={v}") for k, v in spec.method.params.items()) or "no parameters"
    held_out = train.validation
    origin = record.origin
    lines = [
        f"- method {code(spec.method.name)}, version {spec.method.version}: {params}; from plugin "
        f"{code(origin.plugin)} of {code(f'{origin.distribution} {origin.version}')}",
        f"- trained on {code(train.task.label)} ({params_of(train.task.params)}), data: "
        f"{train.data.source}, SHA-256 of the samples {code(train.data.digest)}",
        f"- seed {spec.seed}, profile `{train.profile}`, {spec.precision}, "
        f"{record.cost.steps if record.cost else 'unknown'} steps of {train.batch_size} samples, "
        f"{'so many' if train.steps else f'{train.epochs:g} × all samples'}, warm-up "
        f"{train.warmup_ratio:g}, weight decay {train.weight_decay:g}, gradients "
        + (f"clipped to {train.max_grad_norm:g}" if train.max_grad_norm else "not clipped"),
        f"- kept: {selected(record)}"
        + (f", by {inert(held_out.metric)} on held-out samples" if held_out else ""),
        f"- instabilities: {instabilities(record)}",
    ]
    packages = record.environment.get("packages")
    if isinstance(packages, Mapping):
        lines.append(f"- with {', '.join(code(f'{k} {v}') for k, v in packages.items())}")
    return lines


def params_of(params: Mapping[str, Any]) -> str:
    """Write a task's parameters; those of a mix are its components."""
    if isinstance(parts := params.get("components"), list | tuple):
        shown = ", ".join(code(f"{part['label']}: {part['count']}") for part in parts)
        return f"seed {code(str(params.get('seed')))}, {shown}"
    return ", ".join(code(f"{k}={v}") for k, v in params.items()) or "no parameters"


def selected(record: RunRecord) -> str:
    if record.selection is None:
        return "the weights after the last step"
    score = 100 * record.selection.score
    start = record.selection.curve.get(0)
    before = "" if start is None else f" (untrained {100 * start:.2f})"
    return f"the weights after step {record.selection.step}, which scored {score:.2f}{before}"


def instabilities(record: RunRecord) -> str:
    found = [
        f"{each.kind} at step {each.step}" + ("" if each.value is None else f" ({each.value:.3g})")
        for each in record.instabilities
    ]
    return ", ".join(found) or "none was seen"


def scores(found: Publication, results: Sequence[TaskResult]) -> str:
    """Return one task's table, the run beside what it may be compared with."""
    own, *others = results
    rows = rank(found.runs, results)
    shown = [
        row | {"method": unmarked(row["method"]) + " (this run)" * (own.run_id in each.run_ids)}
        for row, each in zip(score_rows(rows), rows, strict=True)
    ]
    note = f"Of the task: {params_of(own.spec.task.params)}."
    if own.spec.data.source == "sample":
        note += " The sample that comes with benchbench ranks nothing."
    if not others:
        note += " In its store no base model or full finetuning may stand beside it."
    return "\n\n".join(
        (
            f"### {inert(own.spec.task.label)}",
            note,
            *caption(results, rows, inert),
            markdown(shown, columns(rows)),
            parity(own),
        )
    )


def parity(result: TaskResult) -> str:
    found = result.parity
    if found is None or found.max_difference is None:
        return "Whether what was served is what was trained was not shown: not publishable."
    verdict = "passed" if found.passed else "failed: not publishable"
    return (
        f"Parity {verdict}: over {found.tokens} tokens, log-probabilities as trained and as served "
        f"differ by {found.max_difference:.1e} nats at most (allowed {found.tolerance:g})."
    )


def cost(record: RunRecord) -> list[str]:
    """Say what the training took; what is not known is left out."""
    found = record.cost
    if found is None:
        return ["Unknown."]
    share = 100 * found.trainable_parameters / max(1, found.total_parameters)
    kind = "of the card" if found.peak_memory_kind == "cuda_allocated" else "of the process"
    lines = [
        f"- {found.trainable_parameters:,} of {found.total_parameters:,} parameters trained "
        f"({share:.2f} %), {size(record.artefact.bytes if record.artefact else None)} of files",
        f"- {found.train_tokens:,} tokens in {seconds(found.train_seconds)}",
    ]
    if found.peak_memory_bytes is not None:
        lines.append(f"- {size(found.peak_memory_bytes)} of memory {kind} at most")
    if found.energy_joules is not None:
        lines.append(f"- {found.energy_joules / 3600:.3g} Wh by the card's counter")
    if found.forgetting is not None:
        lines.append(
            f"- forgetting: {found.forgetting:+.3f} nats a token on a text that is none of the "
            "tasks'"
        )
    return lines

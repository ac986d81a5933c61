"""The model card of a run that is put on the hub: what it is, what it scored, how to load it.

Names may be a stranger's: they stand in code spans, in which nothing is interpreted, or are made
inert; the front matter holds none that is not of a few plain characters.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from benchbench.cli.reproduction import command
from benchbench.errors import BadParameter
from benchbench.hub import HUB_ID

if TYPE_CHECKING:
    from benchbench.publication import Publication, Target
    from benchbench.record import RunRecord, TaskResult
    from benchbench.registry import Registry

COMMIT = re.compile("[0-9a-f]{40}")
LICENCE = re.compile(r"[A-Za-z0-9][\w.+-]*", re.ASCII)

FORMATS = {
    "soft_prompt": "`soft_prompt.safetensors` holds `embeddings` [tokens, hidden], which stand "
    "before the embeddings of every prompt (`inputs_embeds` in transformers).",
    "prefix": "`prefix.safetensors` holds `keys` and `values` [layers, heads, tokens, size of a "
    "head], without positions, which every layer attends to before those of the prompt "
    "(`past_key_values` in transformers).",
    "modules": "`modules.json` lists small networks and the layers they belong to, and "
    "`modules.safetensors` has their weights: each adds `scale * (up(activation(down(x))) + "
    "bias)` to what its layer puts out, where x is that output or, if `parallel`, the layer's "
    "input; of `width` 0 there is only `bias`.",
}
"""What benchbench's own formats hold, by route."""

LOADED = """```python
from transformers import {kind}, AutoTokenizer
{imports}
tokenizer = AutoTokenizer.from_pretrained({base})
{model}
```"""


def page(
    found: "Publication", target: "Target", registry: "Registry", licence: str | None = None
) -> str:
    """Return a run's model card."""
    record = found.run
    model = record.spec.model
    base = hub_id(record, registry)
    origin = f"revision {code(model.revision)}"
    parts = [
        *front_matter(record, base, registry, licence),
        f"# {inert(record.spec.method.name)} on {inert(model.name)}",
        "",
        f"{code(model.name)} ({origin}), trained with the method {code(record.spec.method.name)} "
        f"by benchbench, run `{record.run_id}` of {code(record.created)}.",
        "",
        *section("Use", usage(found, target, base)),
        *section("Training", training(record)),
        *section("Results", ["\n\n".join(scores(found, each) for each in found.results)]),
        *section("Cost", cost(record)),
        *section("Again", [command(record, [each[0] for each in found.results], base, registry)]),
        *section(
            "Files",
            [
                "`run.json` is the record of the training and `tasks/…/result.json` that of each "
                "score; the card is made of them."
            ],
        ),
    ]
    return "\n".join(parts).rstrip() + "\n"


def section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"## {title}", "", "\n".join(lines) or "Not evaluated yet.", ""]


def hub_id(record: "RunRecord", registry: "Registry") -> str | None:
    """Return the hub's id of a run's base model; None for one that came from a folder."""
    model = record.spec.model
    if not COMMIT.fullmatch(model.revision):
        return None
    known = registry.models.get(model.name)
    name = known.path if known else model.name
    match = HUB_ID.fullmatch(name)
    return match["id"] if match else None


def front_matter(
    record: "RunRecord", base: str | None, registry: "Registry", licence: str | None
) -> list[str]:
    """Return the lines that the hub reads; a base model that it does not have is none of them."""
    if licence is not None and not LICENCE.fullmatch(licence):
        raise BadParameter(f"--license is {licence!r}; it must be an id such as apache-2.0.")
    facts: dict[str, str | Sequence[str]] = {}
    if base:
        facts["base_model"] = base
        facts["base_model_revision"] = record.spec.model.revision
        facts["base_model_relation"] = "finetune" if route(record) == "weights" else "adapter"
    if library := {"weights": "transformers", "lora": "peft", "transformers": "peft"}.get(
        route(record)
    ):
        facts["library_name"] = library
    if licence:
        facts["license"] = licence
    method = re.sub(r"[^a-z0-9.]+", "-", record.spec.method.name.lower()).strip("-.")
    facts["tags"] = ["benchbench", *([method] if method else [])]
    if found := datasets(record, registry):
        facts["datasets"] = found
    return ["---", *(line for item in facts.items() for line in yaml(*item)), "---", ""]


def yaml(key: str, value: str | Sequence[str]) -> list[str]:
    """Write a fact; JSON's strings are YAML's too, and quotes keep ``no`` a text."""
    if isinstance(value, str):
        return [f"{key}: {json.dumps(value)}"]
    return [f"{key}:", *(f"- {json.dumps(each)}" for each in value)]


def datasets(record: "RunRecord", registry: "Registry") -> list[str]:
    """Return the hub's ids of what was trained on, as far as the tasks know them."""
    train = record.spec.train
    if train is None or train.data.source != "folder":
        return []
    parts = train.task.params.get("components") if train.task.protocol == "mix" else None
    names = [part["task"]["name"] for part in parts] if parts else [train.task.name]
    hubs = [registry.tasks[name].hub for name in names if name in registry.tasks]
    ids = {hub.repository for hub in hubs if hub is not None}
    return sorted(each for each in ids if HUB_ID.fullmatch(each) and "@" not in each)


def usage(found: "Publication", target: "Target", base: str | None) -> list[str]:
    """Say how what was trained is loaded, or what its files hold."""
    record = found.run
    if text := FORMATS.get(route(record)):
        return [
            f"This is no adapter of PEFT's but benchbench's own format for what it serves: {text}"
        ]
    config = _json(found, "adapter_config.json") or _json(found, "config.json")
    two = config.get("task_type") == "SEQ_2_SEQ_LM" or config.get("is_encoder_decoder") is True
    kind = "AutoModelForSeq2SeqLM" if two else "AutoModelForCausalLM"
    if base:
        whole = f"{json.dumps(base)}, revision={json.dumps(record.spec.model.revision)}"
    else:
        whole = '"FOLDER OF THE BASE MODEL"'
    branch = f", revision={json.dumps(target.branch)}" if target.branch else ""
    here = f"{json.dumps(target.repository)}{branch}"
    if route(record) == "weights":
        imports, model = "", f"model = {kind}.from_pretrained({here})"
    else:
        imports = "from peft import PeftModel\n"
        # As trained and scored: a base model that is stored in half of it would be read so.
        model = f'base = {kind}.from_pretrained({whole}, dtype="{record.spec.precision}")\n'
        model += f"model = PeftModel.from_pretrained(base, {here})"
    text = LOADED.format(kind=kind, imports=imports, base=whole, model=model)
    if base:
        return [text]
    return [
        f"The base model {code(record.spec.model.name)} came from a folder, which the hub does "
        "not have.",
        "",
        text,
    ]


def training(record: "RunRecord") -> list[str]:
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


def selected(record: "RunRecord") -> str:
    if record.selection is None:
        return "the weights after the last step"
    score = 100 * record.selection.score
    start = record.selection.curve.get(0)
    before = "" if start is None else f" (untrained {100 * start:.2f})"
    return f"the weights after step {record.selection.step}, which scored {score:.2f}{before}"


def instabilities(record: "RunRecord") -> str:
    found = [
        f"{each.kind} at step {each.step}" + ("" if each.value is None else f" ({each.value:.3g})")
        for each in record.instabilities
    ]
    return ", ".join(found) or "none was seen"


def scores(found: "Publication", results: "Sequence[TaskResult]") -> str:
    """Return one task's table, the run beside what it may be compared with."""
    from benchbench.cli import tables
    from benchbench.leaderboard import rank

    own, *others = results
    rows = rank(found.runs, results)
    shown = [
        row | {"method": _unmarked(row["method"]) + " (this run)" * (own.run_id in each.run_ids)}
        for row, each in zip(tables.score_rows(rows), rows, strict=True)
    ]
    alone = "In its store no base model or full finetuning may stand beside it. " * (not others)
    return "\n\n".join(
        (
            f"### {inert(own.spec.task.label)}",
            f"{alone}{meaning(own)}",
            tables.markdown(shown, tables.columns(rows)),
            parity(own),
        )
    )


def meaning(result: "TaskResult") -> str:
    """Say what a table's numbers are."""
    spec = result.spec
    ranks = ", the sample that comes with benchbench, which ranks nothing"
    text = (
        f"{inert(result.metric)} ×100, n = {result.n}, data: {spec.data.source}"
        f"{ranks * (spec.data.source == 'sample')}. {params_of(spec.task.params)}; task version "
        f"{spec.task.version}, served by {code(f'{spec.engine.name} {spec.engine.version}')} in "
        f"{spec.engine.dtype} on {code(spec.engine.device)}. Intervals are 95 %, bootstrapped "
        f"over each {inert(result.cluster)}; “to full” is the paired difference to full finetuning "
        "on the same samples, and p its two-sided p-value, adjusted by Holm's method for the rows "
        "of the table."
    )
    if spec.judge:
        against = spec.opponent.partition(":")[0].replace("-", " ")
        text += (
            f" Judged by {inert(spec.judge.model)} (revision {inert(spec.judge.revision)}) against "
            f"the {inert(against)}'s answers, in both orders."
        )
    return text


def parity(result: "TaskResult") -> str:
    found = result.parity
    if found is None or found.max_difference is None:
        return "Whether what was served is what was trained was not shown: not publishable."
    verdict = "passed" if found.passed else "failed: not publishable"
    return (
        f"Parity {verdict}: over {found.tokens} tokens, log-probabilities as trained and as served "
        f"differ by {found.max_difference:.1e} nats at most (allowed {found.tolerance:g})."
    )


def cost(record: "RunRecord") -> list[str]:
    """Say what the training took; what is not known is left out."""
    from benchbench.cli.tables import seconds, size

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


def route(record: "RunRecord") -> str:
    assert record.artefact is not None
    return record.artefact.route


def code(text: str) -> str:
    """Return a text as a code span, whatever backticks it holds."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    longest = max(map(len, re.findall("`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if plain[:1] == "`" or plain[-1:] == "`" or not plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def inert(text: str) -> str:
    """Return a text that Markdown shows as it is: no link, no markup, no HTML."""
    return escape(_unmarked(text), quote=False)


def _unmarked(text: str) -> str:
    """Return a text without markup; HTML and ``|`` are left to who writes a table's cell."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return re.sub(r"([\\`*_\[\]()#~$!:@.])", r"\\\1", plain)


def _json(found: "Publication", name: str) -> Mapping[str, Any]:
    path = found.files.get(name)
    if path is None:
        return {}
    value = json.loads(path.read_bytes())
    return value if isinstance(value, dict) else {}

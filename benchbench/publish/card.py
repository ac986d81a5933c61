"""The model card of a run that is put on the hub: what it is, what it scored, how to load it.

Names may be a stranger's: they stand in code spans, in which nothing is interpreted, or are made
inert; the front matter holds none that is not of a few plain characters.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from benchbench.boards.markdown import code, inert
from benchbench.errors import BadParameter
from benchbench.hub import HUB_ID
from benchbench.publish.push import Publication, Target
from benchbench.publish.reproduction import command
from benchbench.publish.sections import cost, scores, training
from benchbench.records.record import RunRecord
from benchbench.registry.registry import Registry

COMMIT = re.compile("[0-9a-f]{40}")
LICENCE = re.compile(r"[A-Za-z0-9][\w.+-]*", re.ASCII)

LIBRARIES = {"weights": "transformers", "lora": "peft", "transformers": "peft"}
"""What loads a checkpoint, by route."""

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

RECORDS = (
    "`run.json` is the record of the training and `tasks/…/result.json` that of each score; the "
    "card is made of them."
)

LOADED = """```python
from transformers import {kind}, AutoTokenizer
{imports}
tokenizer = AutoTokenizer.from_pretrained({base})
{model}
```"""


def page(found: Publication, target: Target, registry: Registry, licence: str | None = None) -> str:
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
        *section("Files", [RECORDS]),
    ]
    return "\n".join(parts).rstrip() + "\n"


def section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"## {title}", "", "\n".join(lines) or "Not evaluated yet.", ""]


def hub_id(record: RunRecord, registry: Registry) -> str | None:
    """Return the hub's id of a run's base model; None for one that came from a folder."""
    model = record.spec.model
    if not COMMIT.fullmatch(model.revision):
        return None
    known = registry.models.get(model.name)
    match = HUB_ID.fullmatch(known.path if known else model.name)
    return match["id"] if match else None


def front_matter(
    record: RunRecord, base: str | None, registry: Registry, licence: str | None
) -> list[str]:
    """Return the lines that the hub reads; a base model that it does not have is none of them."""
    from huggingface_hub import ModelCardData

    if licence is not None and not LICENCE.fullmatch(licence):
        raise BadParameter(f"--license is {licence!r}; it must be an id such as apache-2.0.")
    relation = "finetune" if route(record) == "weights" else "adapter"
    method = re.sub(r"[^a-z0-9.]+", "-", record.spec.method.name.lower()).strip("-.")
    facts = ModelCardData(
        base_model=base,
        base_model_revision=record.spec.model.revision if base else None,
        base_model_relation=relation if base else None,
        library_name=LIBRARIES.get(route(record)),
        license=licence,
        tags=["benchbench", *([method] if method else [])],
        datasets=datasets(record, registry) or None,
    )
    return ["---", facts.to_yaml(), "---", ""]


def datasets(record: RunRecord, registry: Registry) -> list[str]:
    """Return the hub's ids of what was trained on, as far as the tasks know them."""
    train = record.spec.train
    if train is None or train.data.source != "folder":
        return []
    parts = train.task.params.get("components") if train.task.protocol == "mix" else None
    names = [part["task"]["name"] for part in parts] if parts else [train.task.name]
    hubs = [registry.tasks[name].hub for name in names if name in registry.tasks]
    ids = {hub.repository for hub in hubs if hub is not None}
    return sorted(each for each in ids if HUB_ID.fullmatch(each) and "@" not in each)


def usage(found: Publication, target: Target, base: str | None) -> list[str]:
    """Say how what was trained is loaded, or what its files hold."""
    record = found.run
    if text := FORMATS.get(route(record)):
        return [
            f"This is no adapter of PEFT's but benchbench's own format for what it serves: {text}"
        ]
    config = _json(found, "adapter_config.json") or _json(found, "config.json")
    two = config.get("task_type") == "SEQ_2_SEQ_LM" or config.get("is_encoder_decoder") is True
    kind = "AutoModelForSeq2SeqLM" if two else "AutoModelForCausalLM"
    note: list[str] = []
    whole = f"{json.dumps(base)}, revision={json.dumps(record.spec.model.revision)}"
    if base is None:
        folder = f"The base model {code(record.spec.model.name)} came from a folder"
        note = [f"{folder}, which the hub does not have.", ""]
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
    return [*note, text]


def route(record: RunRecord) -> str:
    assert record.artefact is not None
    return record.artefact.route


def _json(found: Publication, name: str) -> Mapping[str, Any]:
    path = found.files.get(name)
    if path is None:
        return {}
    value = json.loads(path.read_bytes())
    return value if isinstance(value, dict) else {}

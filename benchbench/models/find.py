"""Finds a base model: a registered name, a folder in Hugging Face layout, or a model of the hub.

Only safetensors, JSON and tokenizer files are fetched or read, and no code of a model is run.
"""

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.contract.model import Model
from benchbench.errors import ModelError, brief, needs, reading, telling
from benchbench.hub import HUB_ID, quiet, unreachable
from benchbench.models.base import BaseModel
from benchbench.models.files import weight_files
from benchbench.records.record import hash_files
from benchbench.specs import ModelSpec

WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")

TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)

FETCHED = ("config.json", "generation_config.json", "chat_template.jinja", *WEIGHTS, *TOKENIZER)


@dataclass(frozen=True, kw_only=True)
class FoundModel(BaseModel):
    """A base model that was asked for, pinned."""

    spec: ModelSpec
    learning_rate_factor: float = 1.0


def find_model(text: str, registered: Mapping[str, Model]) -> FoundModel:
    """Find a base model and pin it; raises ModelError.

    A name comes before a folder of that name, and a folder before a model of the hub.
    """
    if model := registered.get(text):
        name, factor = model.name, model.learning_rate_factor
        if Path(model.path).is_absolute() and Path(model.path).is_dir():
            return _found(name, Path(model.path), None, factor)
        if not HUB_ID.fullmatch(model.path):
            raise ModelError(
                f"model {name!r} is registered with the folder {model.path!r}, which does not "
                "exist; install its plugin again, or choose another model with --model."
            )
        if model.revision is None:
            raise ModelError(
                f"model {name!r} is registered without a revision; its plugin must pin "
                f"{model.path} to a commit."
            )
        return _found(name, *_fetch(model.path, model.revision), factor)
    folder = Path(text).expanduser()
    if folder.is_dir():
        return _found(folder.resolve().name, folder.resolve(), None, 1.0)
    if hub := HUB_ID.fullmatch(text):
        return _found(hub["id"], *_fetch(hub["id"], hub["revision"]), 1.0)
    near = difflib.get_close_matches(text, registered, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(registered) or 'none'};"
    raise ModelError(
        f"{text!r} is neither a known model nor a folder nor a hub id (ORG/NAME[@REVISION]); "
        f"{hint} run `benchbench list models` to see all."
    )


def _found(name: str, folder: Path, commit: str | None, factor: float) -> FoundModel:
    """Describe a model by its files; a folder without a commit is pinned by their hash."""
    config = _read_json(name, folder / "config.json")
    tokenizer = _read_json(name, folder / "tokenizer_config.json")
    _check_weights(name, folder)
    _check_code(name, config)
    if commit is None:
        weights = [path for pattern in WEIGHTS for path in folder.glob(pattern)]
        commit = f"sha256:{hash_files(folder, {folder / 'config.json', *weights})[:16]}"
    files = [folder / file for file in TOKENIZER if (folder / file).is_file()]
    template = _chat_template(folder, tokenizer)
    spec = ModelSpec(
        name=name,
        revision=commit,
        tokenizer=hash_files(folder, files),
        chat_template=template and hashlib.sha256(template.encode()).hexdigest(),
    )
    return FoundModel(spec=spec, folder=folder, learning_rate_factor=factor)


def _read_json(name: str, path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ModelError(
            f"model {name!r} has no {path.name}; a model's folder holds config.json, "
            "tokenizer_config.json with its tokenizer, and model.safetensors, as save_pretrained "
            "writes them."
        )
    with reading(f"{path.name} of model {name!r}", ModelError, "fetch or save it again"):
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict):
            raise ValueError("it holds no JSON object")
    return value


def _check_weights(name: str, folder: Path) -> None:
    if not any(folder.glob("model.safetensors*")):
        pickled = " (its .bin weights are pickles, which are not read)"
        raise ModelError(
            f"model {name!r} has no model.safetensors"
            f"{pickled if any(folder.glob('*.bin')) else ''}; save it with "
            "save_pretrained of a current transformers, and give that folder with --model."
        )
    weight_files(folder, ModelError)


def _check_code(name: str, config: dict[str, Any]) -> None:
    """Refuse a model whose architecture is code of its own that transformers does not have."""
    if "auto_map" not in config:
        return
    from transformers import CONFIG_MAPPING

    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        raise ModelError(
            f"model {name!r} (model_type {kind!r}) needs code from its repository, which is never "
            "run; choose a model that transformers itself supports."
        )


def _chat_template(folder: Path, tokenizer: Mapping[str, Any]) -> str | None:
    """Return the template that transformers would use."""
    file = folder / "chat_template.jinja"
    template = file.read_text() if file.is_file() else tokenizer.get("chat_template")
    if isinstance(template, list):  # several by name, as older tokenizers keep them
        template = {t["name"]: t["template"] for t in template}.get("default")
    return template or None


def _fetch(hub_id: str, revision: str | None) -> tuple[Path, str]:
    """Return the folder of a model of the hub, fetched where the cache lacks it, and its commit."""
    with needs("huggingface_hub", "train"):
        from huggingface_hub import snapshot_download
    with telling(lambda error: ModelError(_why_not_fetched(hub_id, revision, error))), quiet():
        found = snapshot_download(hub_id, revision=revision, allow_patterns=list(FETCHED))
    return Path(found), Path(found).name


def _why_not_fetched(hub_id: str, revision: str | None, error: Exception) -> str:
    from huggingface_hub import errors

    # The first that fits: the hub's library says of what is gated that it is not found, too.
    reasons = {
        errors.GatedRepoError: f"model {hub_id!r} is gated: accept its licence on its page of the "
        "hub, then set HF_TOKEN to a token of that account.",
        errors.RepositoryNotFoundError: f"there is neither a folder {hub_id!r} nor a model of that "
        "name on the hub; check the spelling, or set HF_TOKEN if it is private.",
        errors.RevisionNotFoundError: f"model {hub_id!r} has no revision {revision!r} on the hub; "
        f"give a branch, a tag or a commit, or leave it out: --model {hub_id}.",
        errors.HFValidationError: f"{hub_id!r} is no hub id ({error}); write ORG/NAME[@REVISION].",
        errors.LocalEntryNotFoundError: f"model {hub_id!r} is not on this machine and the hub "
        f"{unreachable()} give a folder with --model FOLDER.",
        Exception: f"model {hub_id!r} could not be fetched ({brief(error)}); try again.",
    }
    return next(why for kind, why in reasons.items() if isinstance(error, kind))

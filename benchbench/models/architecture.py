"""What a base model is made of, read without loading its weights.

Every check of a checkpoint compares with this. Layers come from the architecture built on the meta
device; names and shapes of stored weights come from the headers of the safetensors files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.errors import BenchbenchError, ModelError, brief, telling
from benchbench.models.files import open_tensors, weight_files
from benchbench.models.layers import linear_sizes

UNLIKE = frozenset(
    "_name_or_path architectures bos_token_id dtype eos_token_id pad_token_id torch_dtype "
    "transformers_version use_cache".split()
)
"""What may differ between the configuration of a base model and of its finetuned weights: it does
not change what the weights compute. Which tokens end a completion is the base model's business."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The layers and the stored weights of a base model."""

    name: str
    """The model's class, e.g. ``LlamaForCausalLM``."""
    config: Mapping[str, Any]
    """Everything that decides what the weights compute, defaults filled in."""
    linear: Mapping[str, tuple[int, int]]
    """Path of each linear layer but the head -> (outputs, inputs)."""
    layers: frozenset[str]
    """Path of every layer of any kind."""
    head: str
    """Path of the layer that makes logits."""
    tied: bool
    """Whether the head's weights are the embeddings."""
    aliases: frozenset[str]
    """Further names of weights that have one already, which files may hold or leave out."""
    hidden: int
    """Size of a token's embedding."""
    context: int | None
    """Positions the model has been made for; None where it does not say."""
    cache: tuple[int, int, int]
    """What one token keeps twice, as keys and as values: layers, heads, size of a head. Of an
    encoder-decoder model: in the decoder's self-attention."""
    encoder_decoder: bool = False
    """Whether an encoder reads the prompt, and a decoder writes."""

    @classmethod
    def of(cls, folder: Path, config: Any) -> "Architecture":
        """Understand a model by its configuration; ModelError where it cannot be built."""
        try:
            model = empty(config)
        except Exception as error:
            raise ModelError(
                f"{folder.name!r} holds {_class_name(config)!r}, which transformers cannot build "
                f"as a language model ({brief(error)}); choose a decoder-only model, or an "
                "encoder-decoder model such as T5."
            ) from error
        text = config.get_text_config()
        head = model.get_output_embeddings()
        names, head_name = _names(model), f"{_path(model, head)}.weight"
        tied = bool(text.tie_word_embeddings)
        if tied and config.is_encoder_decoder:  # transformers 5 calls every T5 tied
            tied = not _differ(folder, next(same for same in names if head_name in same))
        aliases = {name for _, *others in names for name in others}
        return cls(
            name=_class_name(config),
            config=_essence(config),
            linear={path: (out, into) for path, (into, out) in linear_sizes(model).items()},
            layers=frozenset(path for path, _ in model.named_modules()),
            head=_path(model, head),
            tied=tied,
            aliases=frozenset(aliases if tied else aliases - {head_name}),
            hidden=int(text.hidden_size),
            context=getattr(text, "max_position_embeddings", None),
            cache=_cache(text),
            encoder_decoder=bool(config.is_encoder_decoder),
        )


def read_config(folder: Path, wrong: type[BenchbenchError]) -> Any:
    """Read a folder's ``config.json`` with defaults filled in, or raise ``wrong``."""
    from transformers import AutoConfig

    if not (folder / "config.json").is_file():
        raise wrong(
            f"{str(folder)!r} has no config.json; a model is a folder in Hugging Face layout."
        )
    what, advice = f"config.json of {str(folder)!r}", "it must be of an architecture it knows."
    with telling(
        lambda error: wrong(f"transformers cannot read {what} ({brief(error)}); {advice}")
    ):
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def language_model(config: Any) -> Any:
    """Return transformers' class that makes the language model of a configuration."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM


def empty(config: Any, **options: Any) -> Any:
    """Return the language model of a configuration without contents, on torch's meta device."""
    import torch

    with torch.device("meta"):
        return language_model(config).from_config(config, **options)


def differences(config: Any, base: Architecture) -> list[str]:
    """Return what differs between a configuration and the base model's, as ``key=value``."""
    own = _essence(config)
    keys = sorted(own.keys() | base.config.keys())
    return [f"{key}={own.get(key)!r}" for key in keys if own.get(key) != base.config.get(key)]


def _essence(config: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(config.to_dict(), default=str))
    return {key: value for key, value in plain.items() if key not in UNLIKE}


def _class_name(config: Any) -> str:
    return str((config.architectures or [type(config).__name__])[0])


def _path(model: Any, wanted: Any) -> str:
    path: str = next(path for path, layer in model.named_modules() if layer is wanted)
    return path


def _names(model: Any) -> list[list[str]]:
    """Return the names of each parameter; one that is tied has several."""
    found: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        found.setdefault(id(parameter), []).append(name)
    return list(found.values())


def _differ(folder: Path, names: list[str]) -> bool:
    """Tell whether a folder stores different weights under names that an architecture ties."""
    import torch

    stored = []
    for path in weight_files(folder, ModelError):
        with open_tensors(path) as file:
            stored += [file.get_tensor(name) for name in names if name in file.keys()]  # noqa: SIM118
    return any(not torch.equal(stored[0], other) for other in stored[1:])


def _cache(text: Any) -> tuple[int, int, int]:
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    layers = getattr(text, "num_decoder_layers", None) or text.num_hidden_layers
    return int(layers), int(heads), int(size)

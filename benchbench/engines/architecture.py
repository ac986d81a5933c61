"""What a base model is made of, read without loading its weights.

Every check of a checkpoint compares with this. Layers come from the architecture built on the meta
device; names and shapes of stored weights come from the headers of the safetensors files.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.errors import BenchbenchError, CheckpointError, ModelError, brief

FLOATS = ("F64", "F32", "F16", "BF16")
"""Number formats weights may have, as safetensors writes them."""

SERVED = (".safetensors", ".json")
"""Files a checkpoint may hold; others, such as pickles, may run code when they are read."""

UNLIKE = frozenset(
    "_name_or_path architectures bos_token_id dtype eos_token_id pad_token_id torch_dtype "
    "transformers_version use_cache".split()
)
"""What may differ between the configuration of a base model and of its finetuned weights: it does
not change what the weights compute. Which tokens end a completion is the base model's business."""

Shape = tuple[int, ...]


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
    def of(cls, folder: Path) -> "Architecture":
        """Read a model's folder; ModelError where it cannot be understood."""
        import torch

        config = read_config(folder, ModelError)
        try:
            with torch.device("meta"):
                model = language_model(config).from_config(config)
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
            linear=dict(_linear_layers(model, head)),
            layers=frozenset(path for path, _ in model.named_modules()),
            head=_path(model, head),
            tied=tied,
            aliases=frozenset(aliases if tied else aliases - {head_name}),
            hidden=int(text.hidden_size),
            context=getattr(text, "max_position_embeddings", None),
            cache=_cache(text),
            encoder_decoder=bool(config.is_encoder_decoder),
        )

    @property
    def targets(self) -> list[str]:
        """The last names of the linear layers, e.g. ``q_proj``."""
        return sorted({path.rpartition(".")[2] for path in self.linear})


def read_config(folder: Path, wrong: type[BenchbenchError]) -> Any:
    """Read a folder's ``config.json`` with defaults filled in, or raise ``wrong``."""
    from transformers import AutoConfig

    if not (folder / "config.json").is_file():
        raise wrong(
            f"{str(folder)!r} has no config.json; a model is a folder in Hugging Face layout."
        )
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise wrong(
            f"config.json of {str(folder)!r} cannot be read ({brief(error)}); it must be that of "
            "an architecture transformers knows."
        ) from error


def language_model(config: Any) -> Any:
    """Return transformers' class that makes the language model of a configuration."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM


def differences(config: Any, base: Architecture) -> list[str]:
    """Return what differs between a configuration and the base model's, as ``key=value``."""
    own = _essence(config)
    keys = sorted(own.keys() | base.config.keys())
    return [f"{key}={own.get(key)!r}" for key in keys if own.get(key) != base.config.get(key)]


def weight_files(folder: Path, wrong: type[BenchbenchError]) -> list[Path]:
    """Return the safetensors files of a model's weights, whole or in shards."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        names = ["model.safetensors"]
    else:
        try:
            names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise wrong(
                f"{str(index)!r} cannot be read ({brief(error)}); save the model again."
            ) from error
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise wrong(
                f"{str(folder)!r} lacks {name}; weights are served from safetensors only, so save "
                "the model again with save_pretrained."
            )
    return [folder / name for name in names]


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """Open a safetensors file from anybody; a broken one is a CheckpointError that names it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{str(path)!r} is not a whole safetensors file ({brief(error)}); copy it again, or "
            "delete the run's folder and run again."
        ) from error


def read_finite(path: Path) -> dict[str, Shape]:
    """Return the shapes of a file's tensors; one that is not finite is a CheckpointError.

    A NaN in one adapter spoils its neighbours: vLLM's cache is shared and not cleared.
    """
    shapes: dict[str, Shape] = {}
    with open_tensors(path) as file:
        for name in file.keys():  # noqa: SIM118 - not a mapping
            if (number := file.get_slice(name).get_dtype()) not in FLOATS:
                raise CheckpointError(
                    f"{name} in {str(path)!r} holds {number}; allowed are {', '.join(FLOATS)}."
                )
            tensor = file.get_tensor(name)
            if not tensor.isfinite().all():
                raise CheckpointError(
                    f"{name} in {str(path)!r} holds NaN or infinity, as after a training that "
                    "diverged; it is not served. Lower the learning rate and run again."
                )
            shapes[name] = tuple(tensor.shape)
    return shapes


def refuse_others(folder: Path) -> None:
    """Raise CheckpointError for a folder that is missing or holds anything but plain data."""
    if not folder.is_dir():
        raise CheckpointError(f"there is no checkpoint in {str(folder)!r}; run again to train it.")
    if found := sorted(
        path.name for path in folder.rglob("*") if path.is_file() and path.suffix not in SERVED
    ):
        raise CheckpointError(
            f"{str(folder)!r} holds {found[0]}; only .safetensors and .json files are served, as "
            "others may run code when they are read."
        )


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


def _linear_layers(model: Any, head: Any) -> Iterator[tuple[str, tuple[int, int]]]:
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    for path, layer in model.named_modules():
        if layer is head:
            continue
        if isinstance(layer, Linear):
            yield path, (layer.out_features, layer.in_features)
        elif isinstance(layer, Conv1D):  # GPT-2 keeps its weights the other way round
            yield path, (layer.weight.shape[1], layer.weight.shape[0])


def _cache(text: Any) -> tuple[int, int, int]:
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    layers = getattr(text, "num_decoder_layers", None) or text.num_hidden_layers
    return int(layers), int(heads), int(size)

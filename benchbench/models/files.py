"""Files of weights from anybody: safetensors and JSON, whole, finite, and nothing else."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchbench.errors import BenchbenchError, CheckpointError, brief, reading

FLOATS = ("F64", "F32", "F16", "BF16")
"""Number formats weights may have, as safetensors writes them."""

SERVED = (".safetensors", ".json")
"""Files a checkpoint may hold; others, such as pickles, may run code when they are read."""

Shape = tuple[int, ...]


def weight_files(folder: Path, wrong: type[BenchbenchError]) -> list[Path]:
    """Return the safetensors files of a model's weights, whole or in shards."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        names = ["model.safetensors"]
    else:
        with reading(repr(str(index)), wrong, "save the model again"):
            names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise wrong(
                f"{str(folder)!r} lacks {name}; fetch or copy it again, or save it with "
                "save_pretrained: weights are read from safetensors only."
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


def finite_tensors(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield a file's tensors by name; one that is not finite is a CheckpointError.

    A NaN in one adapter spoils its neighbours: vLLM's cache is shared and not cleared.
    """
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
            yield name, tensor


def shapes_of(*paths: Path) -> dict[str, Shape]:
    """Return the shapes of files' tensors, all finite; one tensor at a time is in memory."""
    return {name: tuple(tensor.shape) for path in paths for name, tensor in finite_tensors(path)}


def write_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write tensors by name, wherever they are."""
    from safetensors.torch import save_file

    save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, path)


def unfit_files(folder: Path) -> list[str]:
    """Return the names of files that a checkpoint may not hold."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.name for path in files if path.suffix not in SERVED)


def refuse_others(folder: Path) -> None:
    """Raise CheckpointError for a folder that is missing or holds anything but plain data."""
    if not folder.is_dir():
        raise CheckpointError(f"there is no checkpoint in {str(folder)!r}; run again to train it.")
    if found := unfit_files(folder):
        raise CheckpointError(
            f"{str(folder)!r} holds {found[0]}; only .safetensors and .json files are served, as "
            "others may run code when they are read."
        )

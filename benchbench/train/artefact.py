"""What is kept of a trained model: the files that are served, and the log-probabilities that
whoever serves them must reproduce."""

import os
import shutil
import warnings
from pathlib import Path
from typing import Any, get_args

from benchbench.contract.method import Method
from benchbench.engines.parity import Reference
from benchbench.records.record import Artefact, hash_files
from benchbench.specs import Route
from benchbench.train.export import Exporter
from benchbench.train.job import TrainJob

SERVED = (".safetensors", ".json")
"""Files a checkpoint may hold: no pickles, which run code when they are read."""

NOT_SERVED = ("README.md", ".gitattributes")


def export(job: TrainJob, method: Method, model: Any, exporter: Exporter) -> Artefact:
    """Write the checkpoint, whole or not at all, and identify it by its content."""
    part = job.folder / "checkpoint.partial"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with warnings.catch_warnings():
        # PEFT looks for the base model on the hub to see whether its vocabulary has grown.
        warnings.filterwarnings("ignore", message="Could not find a config file in")
        route = method.export(model, part) or exporter.write(model, part)
    for name in NOT_SERVED:
        (part / name).unlink(missing_ok=True)
    _check_files(method, route, part)
    shutil.rmtree(job.checkpoint, ignore_errors=True)
    part.rename(job.checkpoint)
    files = [path for path in job.checkpoint.rglob("*") if path.is_file()]
    return Artefact(
        route=route,
        sha256=hash_files(job.checkpoint, files),
        bytes=sum(path.stat().st_size for path in files),
    )


def _check_files(method: Method, route: Route, folder: Path) -> None:
    if route not in get_args(Route) or route == "base":
        raise ValueError(
            f"export() of method {method.name!r} returned {route!r}; it must return None or one of "
            f"{', '.join(name for name in get_args(Route) if name != 'base')}"
        )
    files = [path for path in folder.rglob("*") if path.is_file()]
    if unfit := sorted(path.name for path in files if path.suffix not in SERVED):
        raise ValueError(
            f"method {method.name!r} exported {', '.join(unfit)}; a checkpoint may hold "
            "only .safetensors and .json files"
        )
    if not any(path.suffix == ".safetensors" for path in files):
        raise ValueError(f"method {method.name!r} exported no .safetensors file")


def of_base(model: Path) -> Artefact:
    """Identify the untuned base model by its weights; it needs no files of its own."""
    return Artefact(route="base", sha256=hash_files(model, model.glob("*.safetensors")), bytes=0)


def write_reference(
    job: TrainJob, prompts: list[list[int]], base: list[list[float]], trained: list[list[float]]
) -> None:
    """Write what the served checkpoint must agree with, whole or not at all."""
    job.folder.mkdir(parents=True, exist_ok=True)
    part = job.folder / "parity.part"
    Reference(prompts=prompts, base=base, trained=trained).write(part)
    os.replace(part, job.folder / "parity.json")

"""Puts a run on the Hugging Face hub: checkpoint, records and model card, in one commit.

Of a run's folder only the checkpoint, the records and, if asked for, the samples leave the machine.
"""

import difflib
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench.boards.comparable import neighbours
from benchbench.errors import BadParameter, BenchbenchError, StoreError, brief, needs, telling
from benchbench.hub import quiet
from benchbench.models.files import SERVED
from benchbench.records.record import RunRecord, TaskResult
from benchbench.records.store import RUN_ID, Store

CARD = "README.md"

BRANCH = re.compile(r"(?!refs/)\w[\w-]*([./][\w-]+)*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What of a run is published, beside its card."""

    run: RunRecord
    files: Mapping[str, Path]
    """Path in the repository -> file of the store; the checkpoint's lie at the top."""
    results: tuple[tuple[TaskResult, ...], ...]
    """For each task the run's result, then what of base and reference may stand beside it."""
    runs: Mapping[str, RunRecord]
    """Those of the results and more, by id."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where it is put."""

    repository: str
    """ORG/NAME."""
    branch: str | None = None
    private: bool = False

    def __post_init__(self) -> None:
        with needs("huggingface_hub", "train"):
            from huggingface_hub import utils
        hub: Any = utils
        try:
            hub.validate_repo_id(self.repository)
            self.repository.index("/")  # which the hub's own check does without
        except ValueError as error:
            raise BadParameter(
                f"{self.repository!r} is no repository of the hub; write ORG/NAME, of letters, "
                "digits, '-', '_' and '.'."
            ) from error
        if self.branch is not None and not BRANCH.fullmatch(self.branch):
            raise BadParameter(f"--revision is {self.branch!r}; it must be a branch, such as v2.")


def gather(store: Store, text: str, samples: bool = False) -> Publication:
    """Find a run by the first digits of its id and collect what of it may be published."""
    record = find_run(store, text)
    _refuse_unfit(record)
    checkpoint = store.checkpoint(record)
    folder = checkpoint.folder
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    files = {name: path for name, path in files.items() if path.is_file()}
    if unfit := [name for name, path in files.items() if path.suffix not in SERVED]:
        raise StoreError(
            f"the checkpoint of run {record.run_id} holds {unfit[0]!r}; only .safetensors and "
            ".json files are published."
        )
    held = store.read()
    known = [result for result in held.results if result.is_scored]
    one = (record.run_id, checkpoint.sha256)
    own = [each for each in known if (each.run_id, each.spec.checkpoint) == one]
    files["run.json"] = store.run_path(record.run_id)
    for result in own:
        path = store.result_path(record.run_id, result.spec)
        files[f"tasks/{result.spec.key}/result.json"] = path
        if samples:
            if store.samples_sha256(record.run_id, result.spec) != result.samples_sha256:
                raise StoreError(
                    f"the samples of {result.spec.task.label} of run {record.run_id} are not the "
                    "ones that were scored (the file is missing or changed); leave out --samples."
                )
            files[f"tasks/{result.spec.key}/samples.jsonl"] = path.with_name("samples.jsonl")
    runs = held.runs
    beside = {run_id for run_id, run in runs.items() if run.role in ("base", "reference")}
    others = [each for each in known if each.run_id in beside]
    _refuse_places(store, files)
    return Publication(
        run=record,
        files=files,
        results=tuple((result, *neighbours([result], others)) for result in own),
        runs=runs,
    )


def find_run(store: Store, text: str) -> RunRecord:
    """Return the run whose id begins with a text; raises BadParameter where that is not one."""
    ids = sorted(path.parent.name for path in store.folder.glob(f"{RUN_ID}/run.json"))
    where = str(store.folder)
    if not ids:
        raise BadParameter(
            f"{where!r} holds no run that ended; give `benchbench run` first, or name the folder "
            "of the runs with --out."
        )
    found = [run_id for run_id in ids if text and run_id.startswith(text)]
    if not found:
        closest = difflib.get_close_matches(text, ids, n=3, cutoff=0)
        raise BadParameter(
            f"no run in {where!r} that ended begins with {text!r}; closest: "
            f"{_named(store, closest)}."
        )
    if len(found) > 1:
        raise BadParameter(
            f"{text!r} begins the ids of {len(found)} runs in {where!r}: "
            f"{_named(store, found[:5])}{' …' * (len(found) > 5)}; give more of its digits."
        )
    record = store.run(found[0])
    if record is None or record.run_id != found[0]:
        raise StoreError(
            f"the record of run {found[0]} is of another version of benchbench, by which its id "
            "was another; push it with the version that wrote it, or run again."
        )
    return record


def push(publication: Publication, card: str, target: Target) -> str:
    """Put a publication and its card on the hub; return the address of the commit."""
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if get_token() is None:
        raise BadParameter(
            "there is no token of the hub to push with; set HF_TOKEN to one that may write, or "
            "give `hf auth login`."
        )
    api, branch, spec = HfApi(), target.branch, publication.run.spec
    additions = [CommitOperationAdd(CARD, card.encode())]
    additions += [CommitOperationAdd(name, path) for name, path in publication.files.items()]
    with (
        telling(lambda error: BenchbenchError(_why_not_pushed(target, error))),
        quiet(),
        warnings.catch_warnings(action="ignore"),  # of remarks on a card's front matter
        _bars_for_people(),
    ):
        api.create_repo(target.repository, private=target.private or None, exist_ok=True)
        if target.private and not api.model_info(target.repository).private:
            raise BadParameter(
                f"{target.repository} is there already and public; make it private on its "
                "page of the hub, or push to another repository."
            )
        if branch is not None:
            api.create_branch(target.repository, branch=branch, exist_ok=True)
        there = api.list_repo_files(target.repository, revision=branch)
        _refuse_another_run(target, there, publication.files)
        done = api.create_commit(
            target.repository,
            additions,
            commit_message=f"benchbench: {spec.method.name}, run {spec.id}",
            revision=branch,
        )
    return str(done.commit_url)


@contextmanager
def _bars_for_people() -> Iterator[None]:
    """Keep the hub's library from drawing progress bars where nobody watches them."""
    from huggingface_hub import utils

    bars: Any = utils
    if sys.stderr.isatty() or bars.are_progress_bars_disabled():
        yield
        return
    bars.disable_progress_bars()
    try:
        yield
    finally:
        bars.enable_progress_bars()


def _named(store: Store, ids: Iterable[str]) -> str:
    records = ((run_id, store.run(run_id)) for run_id in ids)
    return ", ".join(f"{run_id} ({run.label})" if run else run_id for run_id, run in records)


def _refuse_unfit(record: RunRecord) -> None:
    if record.status != "done":
        raise BadParameter(
            f"run {record.run_id}, {record.label}, is {record.status!r} "
            f"({record.reason.rstrip('.')}); only a run that is done can be pushed."
        )
    if record.role == "base" or record.artefact is None or record.artefact.route == "base":
        raise BadParameter(
            f"run {record.run_id} is the base model as it came, so there is nothing to push; name "
            "a run that was trained."
        )


def _refuse_places(store: Store, files: Mapping[str, Path]) -> None:
    """Refuse to publish where on this machine something lies; methods' parameters may say so."""
    places = [f"{place}/" for place in (Path.home(), store.folder.absolute()) if place.name]
    for name, path in files.items():
        if path.suffix == ".json" and any(place in path.read_text() for place in places):
            raise StoreError(
                f"{name} of the run names a folder of this machine, which would be published; "
                "train with a parameter that names none."
            )


def _refuse_another_run(target: Target, there: Iterable[str], files: Mapping[str, Path]) -> None:
    """Refuse to mix two runs' files: loaders would take whichever they look for first."""
    others = {name for name in there if name.endswith((".safetensors", "/result.json"))}
    if left := sorted(others - set(files)):
        raise BadParameter(
            f"{target.repository} holds {left[0]!r}, which is not of this run; push to another "
            "repository, or to an empty branch with --revision BRANCH."
        )


def _why_not_pushed(target: Target, error: Exception) -> str:
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE:
        return "the hub is switched off by HF_HUB_OFFLINE=1; set HF_HUB_OFFLINE=0 to push to it."
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status == 401 and not isinstance(error, errors.GatedRepoError):
        return "the hub does not accept the token; set HF_TOKEN to a valid one that may write."
    if status == 403:
        return (
            f"the token may not write to {target.repository}; set HF_TOKEN to one that may, or "
            "push to a repository of your own."
        )
    return f"{target.repository} could not be pushed to ({brief(error)}); try again."

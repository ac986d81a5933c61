"""A board fixes what all its entries share, and lists the entries."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from benchbench.contract.mix import SUFFIX
from benchbench.errors import BoardError
from benchbench.plan.plan import Grid, make_plan
from benchbench.records.record import TaskResult
from benchbench.registry.registry import Registry
from benchbench.specs import MethodSpec, Precision, TaskSpec, canonical

KEYS: Mapping[str, tuple[type, str]] = {
    "title": (str, "a text"),
    "model": (str, "a model's name, folder or hub id"),
    "tasks": (list, "a list of tasks such as super-ni@def-pos2"),
    "seeds": (list, "a list of whole numbers"),
    "method": (list, "one [[method]] table for each entry"),
    "train": (dict, "a [train] table"),
    "train_on": (str, "a task or a mix, such as super-ni"),
    "engine": (str, "vllm or transformers"),
}
REQUIRED = ("title", "model", "tasks", "seeds", "method", "engine")


@dataclass(frozen=True, kw_only=True)
class Board:
    """A protocol and its entries."""

    title: str
    engine: str
    grid: Grid


def read_board(folder: Path) -> Board:
    """Read ``<folder>/board.toml``; raises BoardError naming file and key."""
    path = folder / "board.toml"
    try:
        text = tomllib.loads(path.read_text())
    except OSError as error:
        raise BoardError(
            f"cannot read {str(path)!r} ({error.strerror}); a board is a folder with a board.toml."
        ) from error
    except ValueError as error:
        raise BoardError(f"{str(path)!r} is not valid TOML: {error}.") from error
    _check_keys(path, text)
    return Board(
        title=text["title"],
        engine=text["engine"],
        grid=Grid(
            model=text["model"],
            methods=tuple(_method(path, entry) for entry in text["method"]),
            tasks=tuple(TaskSpec.parse(task) for task in text["tasks"]),
            train_on=_train_on(path, text.get("train_on", "")),
            seeds=tuple(text["seeds"]),
            train=text.get("train", {}),
        ),
    )


def _train_on(board: Path, named: str) -> str:
    """Return what a board trains on; a mix's file lies where the board says, seen from its own."""
    return str(board.parent / named) if named.endswith(SUFFIX) else named


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Which runs and results are a board's: everything unsaid is at its default, as in a run."""

    run_ids: frozenset[str]
    tasks: frozenset[str]
    engine: str

    @classmethod
    def of(cls, board: Board, registry: Registry, data_root: Path | None) -> "Membership":
        """Resolve a board as a run of it would, for every precision a machine may have."""
        plans = [make_plan(board.grid, registry, data_root, p) for p in get_args(Precision)]
        return cls(
            run_ids=frozenset(spec.id for plan in plans for spec in plan.runs),
            tasks=frozenset(canonical(split.spec) for split in plans[0].tests),
            engine=board.engine,
        )

    def __contains__(self, result: TaskResult) -> bool:
        return (
            result.run_id in self.run_ids
            and canonical(result.spec.task) in self.tasks
            and (result.spec.engine.name == self.engine or result.route == "transformers")
        )


def _check_keys(path: Path, text: Mapping[str, Any]) -> None:
    for key in REQUIRED:
        if key not in text:
            raise BoardError(f"{str(path)!r} lacks {key!r}: {KEYS[key][1]}.")
    for key, value in text.items():
        if key not in KEYS:
            raise BoardError(
                f"{str(path)!r} has an unknown key {key!r}; it may have: {', '.join(KEYS)}."
            )
        kind, meaning = KEYS[key]
        if not isinstance(value, kind) or value in ([], ""):
            raise BoardError(f"{key!r} in {str(path)!r} is {value!r}; it must be {meaning}.")
    for key, kind in (("tasks", str), ("seeds", int), ("method", dict)):
        if not all(isinstance(item, kind) for item in text[key]):
            raise BoardError(
                f"{key!r} in {str(path)!r} is {text[key]!r}; it must be {KEYS[key][1]}."
            )


def _method(path: Path, entry: Mapping[str, Any]) -> MethodSpec:
    if not isinstance(entry.get("name"), str):
        raise BoardError(f'a [[method]] in {str(path)!r} has no name; add name = "…".')
    return MethodSpec(name=entry["name"], params={k: v for k, v in entry.items() if k != "name"})

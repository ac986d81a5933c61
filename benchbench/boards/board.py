"""A board fixes what all its entries share, and lists the entries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args

from benchbench.boards.comparable import key
from benchbench.contract.mix import SUFFIX
from benchbench.engines.choice import engine_names
from benchbench.errors import BoardError
from benchbench.plan.plan import Grid, make_plan
from benchbench.records.record import TaskResult
from benchbench.registry.registry import Registry
from benchbench.specs import MethodSpec, Precision, TaskSpec, canonical, read_toml


@dataclass(frozen=True, kw_only=True)
class BoardFile:
    """What a board.toml may say."""

    title: Annotated[str, "a text"]
    model: Annotated[str, "a model's name, folder or hub id"]
    tasks: Annotated[tuple[str, ...], "a list of tasks such as super-ni@def-pos2"]
    seeds: Annotated[tuple[int, ...], "a list of whole numbers"]
    method: Annotated[tuple[Mapping[str, Any], ...], "one [[method]] table for each entry"]
    train: Annotated[Mapping[str, Any], "a [train] table"] = field(default_factory=dict)
    train_on: Annotated[str, "a task or a mix, such as super-ni"] = ""
    engine: Annotated[str, " or ".join(engine_names())]


@dataclass(frozen=True, kw_only=True)
class Board:
    """A protocol and its entries."""

    title: str
    engine: str
    grid: Grid


def read_board(folder: Path) -> Board:
    """Read ``<folder>/board.toml``; raises BoardError naming file and key."""
    path = folder / "board.toml"
    said = read_toml(path, BoardFile, BoardError, "a board is a folder with a board.toml.")
    return Board(
        title=said.title,
        engine=said.engine,
        grid=Grid(
            model=said.model,
            methods=tuple(_method(path, entry) for entry in said.method),
            tasks=tuple(map(TaskSpec.parse, said.tasks)),
            train_on=_train_on(path, said.train_on),
            seeds=said.seeds,
            train=said.train,
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
        shared = key(result)
        served = "engine" not in shared or result.spec.engine.name == self.engine
        return served and shared["task"] in self.tasks and result.run_id in self.run_ids


def _method(path: Path, entry: Mapping[str, Any]) -> MethodSpec:
    if not isinstance(entry.get("name"), str):
        raise BoardError(f'a [[method]] in {str(path)!r} has no name; add name = "…".')
    return MethodSpec(name=entry["name"], params={k: v for k, v in entry.items() if k != "name"})

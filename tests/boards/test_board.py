from dataclasses import replace
from pathlib import Path

import pytest

from benchbench import MethodSpec, TaskSpec
from benchbench.boards.board import Membership, read_board
from benchbench.errors import BoardError
from benchbench.plan.plan import make_plan
from benchbench.records.record import TaskResult
from tests import toys
from tests.toys import result, run_record

TEXT = """
title = "Toys"
model = "toy"
tasks = ["echo@say"]
seeds = [1, 2]
engine = "toy"

[train]
epochs = 2

[[method]]
name = "part"
size = 3
"""


def write(folder: Path, text: str = TEXT) -> Path:
    (folder / "board.toml").write_text(text)
    return folder


def test_a_board_is_read(tmp_path: Path) -> None:
    board = read_board(write(tmp_path))
    assert board.grid.methods == (MethodSpec(name="part", params={"size": 3}),)
    assert board.grid.tasks == (TaskSpec(name="echo", protocol="say"),)
    assert (board.grid.seeds, board.grid.train) == ((1, 2), {"epochs": 2})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Toys"', "", "lacks 'title'"),
        ("seeds = [1, 2]", 'seeds = "1"', "'seeds' .* is '1'; it must be a list"),
        ("seeds = [1, 2]", "seeds = []", "'seeds' .* must be"),
        ("seeds = [1, 2]", 'seeds = ["x"]', "'seeds' .* must be"),
        ('model = "toy"', 'model = "toy"\nmodle = 1', "unknown key 'modle'"),
        ('name = "part"', "", "has no name"),
        ("title", "title = = 1", "not valid TOML"),
    ],
)
def test_mistakes_name_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(BoardError, match=message) as error:
        read_board(write(tmp_path, TEXT.replace(old, new, 1)))
    assert "board.toml" in str(error.value)


def test_a_folder_without_a_board(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"cannot read .*board\.toml"):
        read_board(tmp_path)


def members(folder: Path, model: Path, text: str = TEXT) -> Membership:
    return Membership.of(read_board(write(folder, text)), toys.registry(model), None)


@pytest.fixture
def belonging(tmp_path: Path, tiny_model: Path) -> TaskResult:
    """A result that a run of the board leaves."""
    board = read_board(write(tmp_path))
    plan = make_plan(board.grid, toys.registry(tiny_model), None, "float32")
    spec = next(run.spec for run in plan.runs if run.method.name == "part")
    found = result(replace(run_record(), spec=spec), 0.5)
    return replace(found, spec=replace(found.spec, task=plan.tests[0].spec))


def test_a_board_has_the_results_that_a_run_of_it_leaves(
    belonging: TaskResult, tmp_path: Path, tiny_model: Path
) -> None:
    assert belonging in members(tmp_path, tiny_model)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size = 3", "size = 4"),
        ("size = 3", ""),
        ("epochs = 2", "epochs = 3"),
        ("seeds = [1, 2]", "seeds = [2]"),
        ('engine = "toy"', 'engine = "vllm"'),
        ("echo@say", "echo@loud"),
        ("echo@say", "echo@say:samples_each=2"),
    ],
)
def test_a_board_has_no_results_of_another_request(
    old: str, new: str, belonging: TaskResult, tmp_path: Path, tiny_model: Path
) -> None:
    assert belonging not in members(tmp_path, tiny_model, TEXT.replace(old, new))

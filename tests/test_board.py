from pathlib import Path

import pytest

from benchbench import MethodSpec, TaskSpec
from benchbench.board import belongs, read_board, scores_for
from benchbench.errors import BoardError
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


def test_runs_belong_by_model_method_and_seed(tmp_path: Path) -> None:
    board = read_board(write(tmp_path))
    assert belongs(board, run_record("part", 1, params={"size": 3}))
    assert belongs(board, run_record("untuned"))
    assert not belongs(board, run_record("part", 1, params={"size": 4}))
    assert not belongs(board, run_record("part", 3, params={"size": 3}))
    assert not belongs(board, run_record("whole", 1))


def test_results_belong_by_task_and_engine(tmp_path: Path) -> None:
    found = result(run_record(), 0.5)
    assert scores_for(read_board(write(tmp_path)), found)
    other = TEXT.replace('engine = "toy"', 'engine = "vllm"')
    assert not scores_for(read_board(write(tmp_path, other)), found)
    other = TEXT.replace("echo@say", "echo@loud")
    assert not scores_for(read_board(write(tmp_path, other)), found)

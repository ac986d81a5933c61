"""The boards in the repository are what their records say, and records find their way to them."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchbench.cli import app

ROOT = Path(__file__).parent.parent
BOARDS = sorted(path.parent for path in (ROOT / "leaderboards").glob("*/board.toml"))


def benchbench(*arguments: str) -> str:
    ended = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.name)
def test_a_board_built_again_is_the_same(board: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(board, tmp_path / board.name)
    benchbench("leaderboard", "build", str(copy))
    for path in board.iterdir():
        if path.is_file():
            assert (copy / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.name)
def test_a_boards_records_are_those_of_a_run_of_it(board: Path, tmp_path: Path) -> None:
    store, empty = tmp_path / "runs", tmp_path / board.name
    empty.mkdir()
    shutil.copy(board / "board.toml", empty)
    for path in (board / "records").glob("*/*.json"):
        folder = store / path.parent.name
        if path.name != "run.json":
            folder = folder / "tasks" / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / ("run.json" if path.name == "run.json" else "result.json"))
    benchbench("leaderboard", "submit", str(empty), "--out", str(store))
    for path in (board / "records").glob("*/*.json"):
        assert (empty / path.relative_to(board)).read_bytes() == path.read_bytes()
    again = benchbench("leaderboard", "submit", str(empty), "--out", str(store))
    assert "0 new records" in again


def test_there_is_a_board() -> None:
    assert BOARDS

"""The boards in the repository are what their records say, and records find their way to them."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchbench.boards.page import page
from benchbench.boards.rank import tables
from benchbench.cli import app
from benchbench.specs import ValidationSpec
from tests.toys import DATA, TRAIN, result, run_record

ROOT = Path(__file__).parents[2]
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


def test_each_table_of_a_page_tells_of_its_own_task() -> None:
    run = run_record("whole")
    first = result(run, 0.5, 0.6)
    second = result(run, 0.5, 0.6, 0.7)
    task = replace(first.spec.task, name="shout", version=7)
    second = replace(second, spec=replace(second.spec, task=task))
    results = [first, second]
    text = page("Toys", tables([run], results), results)
    echo, shout = text.split("## ")[1:]
    assert "n = 8" in echo and "task version 1," in echo
    assert "n = 12" in shout and "task version 7," in shout


def test_a_page_says_whether_checkpoints_were_chosen() -> None:
    validation = ValidationSpec(data=DATA, groups=("say",), metric="exact")
    for train in (TRAIN, replace(TRAIN, validation=validation)):
        run = run_record("whole", train=train)
        results = [result(run, 0.5, 0.6)]
        text = page("Toys", tables([run], results), results)
        assert ("did best on held-out samples" in text) == (train is not TRAIN)


def test_a_page_explains_comparisons_only_where_there_are_some() -> None:
    runs = [run_record("whole"), run_record("part")]
    results = [result(run, 0.5, 0.6) for run in runs]
    assert "comparisons of the table (1)" in page("Toys", tables(runs, results), results)
    assert "p-value" not in page("Toys", tables(runs, results[1:]), results[1:])


def test_the_page_names_a_command_that_builds_it_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [run_record("whole")]
    results = [result(runs[0], 0.5, 0.6)]
    text = page("Toys", tables(runs, results), results)
    found = re.search("Built by `benchbench ([^`]*)` in this folder", text)
    assert found is not None
    board = tmp_path / "elsewhere"
    shutil.copytree(BOARDS[0], board)
    (board / "README.md").unlink()
    monkeypatch.chdir(board)
    benchbench(*found[1].split())
    assert (board / "README.md").is_file()


def test_there_is_a_board() -> None:
    assert BOARDS

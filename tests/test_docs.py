"""The documentation says what the code does."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

import benchbench
from benchbench.boards.board import read_board
from benchbench.contract import hookspecs
from benchbench.plan.plan import SETTABLE
from benchbench.records.record import Cost, TaskResult
from benchbench.registry.registry import Registry
from benchbench.specs import TrainSpec

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
REGISTRY = Registry.load()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_every_hook_is_documented_with_its_signature() -> None:
    for name, hook in inspect.getmembers(hookspecs, inspect.isfunction):
        if not name.startswith("register_"):
            continue
        returned = inspect.signature(hook).return_annotation
        text = str(returned).replace("collections.abc.", "")
        for kind in ("method.Method", "model.Model", "task.Task", "mix.Mix"):
            text = text.replace(f"benchbench.contract.{kind}", kind.split(".")[1])
        assert f"### `{name}() -> {text}`\n\n{inspect.getdoc(hook)}" in CONTRIBUTING


@pytest.mark.parametrize("number", range(len(blocks(CONTRIBUTING, "python"))))
def test_the_examples_of_plugins_work(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"example{number}"
    (tmp_path / f"{name}.py").write_text(blocks(CONTRIBUTING, "python")[number])
    monkeypatch.syspath_prepend(tmp_path)
    found = Registry.load(extra=[name])
    assert not found.broken
    assert name in {origin.plugin for origin in found.origins.values()}


def test_the_example_of_a_board_can_be_read(tmp_path: Path) -> None:
    (text,) = (block for block in blocks(CONTRIBUTING, "toml") if "title" in block)
    (tmp_path / "board.toml").write_text(text)
    assert len(read_board(tmp_path).grid.methods) == 2


def test_every_command_in_the_readme_exists() -> None:
    from typer.main import get_command

    from benchbench.cli import app

    known = get_command(app).commands  # type: ignore[attr-defined]
    used = set(re.findall(r"(?:`|&& |^)benchbench (\w+) ", README, re.MULTILINE))
    assert used and used <= set(known)


def test_the_readme_lists_every_stock_method_and_no_other() -> None:
    rows = README.split("## Methods")[1].split("\n\n")[1].splitlines()[2:]
    names = set(re.findall(r"`([\w-]+)[`:]", "".join(rows)))
    assert names == {
        name
        for name in REGISTRY.methods
        if REGISTRY.origins["method", name].plugin.startswith("benchbench_plugins.")
    }


def test_the_readme_lists_every_stock_task_by_its_family() -> None:
    rows = README.split("## Tasks")[1].split("\n\n")[1].splitlines()[2:]
    listed = {
        (row.split("|")[1].strip(), name)
        for row in rows
        for name in re.findall(r"`([\w-]+)`", row.split("|")[2])
    }
    assert listed == {
        (task.family, name)
        for name, task in REGISTRY.tasks.items()
        if REGISTRY.origins["task", name].plugin.startswith("benchbench_tasks.")
    }


def test_every_flag_in_the_readme_exists() -> None:
    from typer.main import get_command

    from benchbench.cli import app

    command = get_command(app).commands["run"]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", README)) <= known


def test_the_settings_of_training_are_documented_with_their_defaults() -> None:
    text = (ROOT / "docs" / "training.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `?([\w.-]+)`? \|", text, re.MULTILINE)
    defaults = {f.name: f.default for f in fields(TrainSpec) if f.name in SETTABLE}
    assert [name for name, _ in rows if name not in defaults] == []
    for name, default in defaults.items():
        shown = dict(rows)[name]
        assert (
            float(shown) == default
            if type(default) in (int, float)
            else (shown == str(default).lower())
        )


def test_every_number_a_cost_holds_is_documented_or_named_after_what_it_is() -> None:
    text = (ROOT / "docs" / "training.md").read_text()
    named = set(re.findall(r"`(\w+)`", text.split("## What it costs")[1]))
    held = {f.name for kind in (Cost, TaskResult) for f in fields(kind)}
    assert named - {"cost", "bytes", "artefact"} <= held


def test_sharing_names_every_flag_of_push_and_only_what_exists() -> None:
    from typer.main import get_command

    from benchbench.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    run, push = (
        {option for parameter in commands[name].params for option in parameter.opts}
        for name in ("run", "push")
    )
    text = (ROOT / "docs" / "sharing.md").read_text()
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--logdir"}
    assert used <= run | push and "--report-to" in used
    assert push - {"--plugin", "--no-plugin"} <= used | {"run", "repository"}


def test_every_stock_item_has_a_docstring_and_a_source() -> None:
    for item in (*REGISTRY.methods.values(), *REGISTRY.tasks.values()):
        own = item.__dict__.get("__doc__") or ""
        assert len(own) > 20 and not own.startswith(f"{item.__name__}("), item
        assert item.source or getattr(item, "role", "") == "base", item


def test_every_public_name_exists_and_has_a_docstring() -> None:
    for name in benchbench.__all__:
        assert getattr(benchbench, name).__doc__ or name in ("Route", "hookimpl")


def test_every_module_and_public_function_has_a_docstring() -> None:
    for path in sorted((ROOT / "benchbench").rglob("*.py")):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree) or not tree.body, path


def test_every_module_imports_alone_without_a_warning() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / "benchbench").rglob("*.py"))
        # What vLLM's worker and the sandbox's cell import, only those have.
        if path.name != "__main__.py" and "worker" not in path.name and "cell" not in path.parts
    ]
    heavy = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"][
            "flake8-tidy-imports"
        ]["banned-module-level-imports"]
    )
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    for known in [m for m in sys.modules if m.startswith('benchbench')]:\n"
        "        del sys.modules[known]\n"
        "    importlib.import_module(name)\n"
        f"loaded = {heavy!r} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


def test_the_table_in_the_readme_is_the_board() -> None:
    board = (ROOT / "leaderboards" / "nano-super-ni" / "README.md").read_text()
    table = "\n".join(line for line in board.splitlines() if line.startswith("|"))
    shown = re.search(
        r"<!-- table: leaderboards/nano-super-ni -->\n(.*?)\n<!-- end of table -->",
        README,
        re.DOTALL,
    )
    assert shown is not None and shown[1].strip() == table


def test_the_methods_that_cannot_resume_are_listed() -> None:
    text = (ROOT / "docs" / "training.md").read_text().split("## Interruptions")[1].split("##")[0]
    named = set(re.findall(r"`(\w+)`", text.split("not tried")[1]))
    assert named == {name for name, method in REGISTRY.methods.items() if not method.resumable}


def test_the_floors_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (floors,) = (c for c in contracts["contracts"] if c["id"] == "floors")
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", CONTRIBUTING, re.MULTILINE)
    told = {int(floor): re.findall(r"`(\w+)`", rooms) for floor, rooms in rows}
    count = len(floors["layers"])
    assert told == {count - i: line.split(" | ") for i, line in enumerate(floors["layers"])}

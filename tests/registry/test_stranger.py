"""A stranger's package, installed with pip, is found and used like the stock plugins."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "plugin_package"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Install the package beside ours and return an environment that sees it."""
    folder = tmp_path_factory.mktemp("stranger")
    source = shutil.copytree(PACKAGE, folder / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*command, "--no-build-isolation", "--target", str(folder / "site"), str(source)],
        check=True,
    )
    return os.environ | {"PYTHONPATH": str(folder / "site")}


def benchbench(environment: dict[str, str], *arguments: str, folder: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchbench", *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_listed_with_its_package(environment: dict[str, str]) -> None:
    rows = json.loads(benchbench(environment, "list", "plugins", "--json"))
    (row,) = (r for r in rows if r["name"] == "stranger")
    assert (row["package"], row["version"]) == ("benchbench-stranger", "1.2.3")
    methods = json.loads(benchbench(environment, "list", "methods", "--json"))
    assert {"last-norm", "lora"} <= {r["name"] for r in methods}


def test_it_can_be_left_out(environment: dict[str, str]) -> None:
    arguments = ("list", "tasks", "--json", "--no-plugin", "stranger")
    assert "parrot" not in benchbench(environment, *arguments)


@pytest.mark.slow
def test_its_method_and_task_run(environment: dict[str, str], tmp_path: Path) -> None:
    out = benchbench(
        environment,
        "run",
        *("--method", "last-norm", "--tasks", "parrot", "--set", "epochs=2", "--json"),
        *("--engine", "transformers"),
        folder=tmp_path,
    )
    rows = {row["method"]: row for row in json.loads(out)}
    assert set(rows) == {"base", "last-norm"}
    assert rows["last-norm"]["parity"]["passed"]
    assert rows["last-norm"]["cost"]["trainable_parameters"] < 1000
    record = json.loads((tmp_path / rows["last-norm"]["record"]).read_text())
    assert record["origin"] == {
        "plugin": "stranger",
        "distribution": "benchbench-stranger",
        "version": "1.2.3",
    }

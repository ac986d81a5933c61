"""A single file as a plugin, and the template that becomes a package."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchbench.errors import DuplicateName, PluginError
from benchbench.registry.file import plugin_file
from benchbench.registry.registry import Registry
from tests.registry.test_stranger import benchbench

TEMPLATE = Path(__file__).parents[2] / "template"
FILE = TEMPLATE / "benchbench_my_method.py"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delitem(sys.modules, "my_method", raising=False)
    return shutil.copy(FILE, tmp_path / "my_method.py")


def test_its_method_is_found_and_its_origin_is_its_content(copy: Path) -> None:
    found = Registry.load(extra=[str(copy)])
    origin = found.origins["method", "my-method"]
    assert (origin.plugin, origin.distribution) == ("my_method", "file")
    copy.write_text(copy.read_text() + "# changed\n")
    changed = Registry.load(extra=[str(copy)]).origins["method", "my-method"]
    assert changed.version != origin.version


@pytest.mark.parametrize("name", ["nowhere.py", "my-method.py", "json.py"])
def test_a_file_that_cannot_be_a_plugin_is_one_sentence(name: str, tmp_path: Path) -> None:
    if name != "nowhere.py":
        (tmp_path / name).write_text("")
    with pytest.raises(PluginError, match=rf"no file .*{name}|cannot be named '{name}'"):
        plugin_file(str(tmp_path / name))


def test_the_same_name_twice_is_an_error(copy: Path, tmp_path: Path) -> None:
    other = shutil.copy(copy, tmp_path / "other.py")
    with pytest.raises(DuplicateName, match="my-method"):
        Registry.load(extra=[str(copy), str(other)])


def test_a_broken_file_that_was_named_is_an_error(copy: Path) -> None:
    copy.write_text("import nothing_of_that_name\n")
    done = subprocess.run(
        [sys.executable, "-m", "benchbench", "list", "methods", "--plugin", str(copy)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "plugin 'my_method' does not work (ModuleNotFoundError" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_file_is_checked_and_run_without_a_package(copy: Path, tmp_path: Path) -> None:
    import os

    environment = dict(os.environ)
    plugin = ("--plugin", copy.name, "--engine", "transformers", "--json")
    exam = json.loads(benchbench(environment, "check", "my-method", *plugin, folder=tmp_path))
    assert exam[0]["passed"] and exam[0]["plugin"] == "my_method"
    run = (
        "run",
        *("--method", "my-method", "--tasks", "super-ni:instances=1"),
        *("--set", "epochs=0.1"),
    )
    out = benchbench(environment, *run, *plugin, folder=tmp_path)
    (row,) = (row for row in json.loads(out) if row["method"] == "my-method")
    assert row["parity"]["passed"] and row["route"] == "weights"

    copy.write_text(copy.read_text() + "# changed\n")
    done = subprocess.run(
        [sys.executable, "-m", "benchbench", *run, *plugin],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "trained by another content of my_method.py" in done.stderr


@pytest.mark.slow
def test_the_template_becomes_a_package_that_passes(tmp_path: Path) -> None:
    import os

    source = shutil.copytree(TEMPLATE, tmp_path / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    site = tmp_path / "site"
    subprocess.run(
        [*command, "--no-build-isolation", "--target", str(site), str(source)], check=True
    )
    environment = os.environ | {"PYTHONPATH": str(site)}
    arguments = ("check", "my-method", "--engine", "transformers", "--json")
    exam = json.loads(benchbench(environment, *arguments, folder=tmp_path))
    assert exam[0]["passed"]
    assert "my-method" in (source / "README.md").read_text()

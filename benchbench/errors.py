"""Errors a user can meet. Each is one sentence: what is wrong, what is allowed, what to do next.

BenchbenchError         the command line prints it without a traceback and exits with 2
├── UnknownName         a request names something that no plugin registered
├── DuplicateName       two plugins registered the same name
├── BadParameter        a parameter does not exist, or its value is not allowed
├── PluginError         a plugin could not be imported, or misspells a hook
├── ModelError          a base model could not be found or read
├── DataError           a data set is missing or malformed (file and key are named)
├── CheckpointError     a checkpoint must not be served: corrupt, changed, or of another base model
│   ├── CheckpointUnserved  it is whole, and of a kind that only another engine serves
│   └── CheckpointOverflow  its weights are finite, but what they compute is not
├── StoreError          the output folder is locked, unwritable, or holds a broken record
├── BoardError          a board.toml is wrong (file and key are named)
├── JudgeError          a judge cannot be reached, refuses, or gives no log-probabilities
├── EngineError         an engine cannot serve this model or this checkpoint
├── Unsuited            a method cannot be used on this model; its run is skipped
├── SandboxUnavailable  this machine cannot confine programs that models wrote
└── MissingExtra        an optional dependency is not installed
"""

import difflib
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class BenchbenchError(Exception):
    """Base of every error benchbench raises on purpose."""


class UnknownName(BenchbenchError):
    """A request names something that no plugin registered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], note: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1)
        # All that is known may be a hundred names; a command lists them.
        closest = ", ".join(difflib.get_close_matches(name, known, n=5, cutoff=0)) or "none"
        hint = f"did you mean {near[0]!r}? See" if near else f"closest: {closest}; see"
        first = kind.partition(" ")[0]  # of "method or plugin"
        listed = f"{first}s" if first in ("method", "model", "task", "plugin") else "--help"
        super().__init__(f"no {kind} named {name!r}; {hint} `benchbench list {listed}`.{note}")


class DuplicateName(BenchbenchError):
    """Two plugins registered the same name."""

    def __init__(self, kind: str, name: str, first: str, second: str) -> None:
        super().__init__(
            f"{kind} {name!r} is registered by both {first} and {second}; "
            f"leave one out with --no-plugin {second}."
        )


class BadParameter(BenchbenchError):
    """A parameter does not exist, or its value is not allowed."""


class PluginError(BenchbenchError):
    """A plugin could not be imported, or misspells a hook."""


class ModelError(BenchbenchError):
    """A base model could not be found or read."""


class DataError(BenchbenchError):
    """A data set is missing or malformed."""


class CheckpointError(BenchbenchError):
    """A checkpoint must not be served: corrupt, changed, or of another base model."""


class CheckpointUnserved(CheckpointError):
    """A checkpoint is whole, and of a kind that only another engine serves."""


class CheckpointOverflow(CheckpointError):
    """A checkpoint that was loaded computes numbers that are none; ``run_id`` is its run's."""

    def __init__(self, run_id: str, text: str) -> None:
        self.run_id = run_id
        super().__init__(text)


class StoreError(BenchbenchError):
    """The output folder is locked, unwritable, or holds a broken record."""


class BoardError(BenchbenchError):
    """A board.toml is wrong."""


class JudgeError(BenchbenchError):
    """A judge cannot be reached, refuses, or gives no log-probabilities."""


class EngineError(BenchbenchError):
    """An engine cannot serve this model or this checkpoint."""


class Unsuited(BenchbenchError):
    """A method cannot be used on this model: raised by ``adapt()`` with the reason."""


class TrainingStopped(BenchbenchError):
    """Somebody, or a scheduler, ended a training: it says nothing of the method, and the same
    command goes on from there."""


class SandboxUnavailable(BenchbenchError):
    """This machine cannot confine programs that models wrote."""


class MissingExtra(BenchbenchError):
    """An optional dependency is not installed."""

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(f"{need} is not installed; run: pip install 'benchbench-peft[{extra}]'")


@contextmanager
def needs(need: str, extra: str) -> Iterator[None]:
    """Import what an extra brings; raises MissingExtra where it is not installed."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(need, extra) from error


@contextmanager
def reading(what: str, wrong: type[BenchbenchError], advice: str) -> Iterator[None]:
    """Read what anybody may have written; raises ``wrong`` in a sentence where it is broken."""
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise wrong(f"{what} cannot be read ({brief(error)}); {advice}.") from error


@contextmanager
def telling(of: Callable[[Exception], BenchbenchError]) -> Iterator[None]:
    """Run others' code: libraries and plugins raise anything, of which an error of ours is made.

    One that is ours already comes through.
    """
    try:
        yield
    except BenchbenchError:
        raise
    except Exception as error:
        raise of(error) from error


def described(error: Exception, function: Callable[..., object] | None = None) -> str:
    """Return what a stranger's code raised in one line: its kind, its text, and file and line.

    Without a line of that code it is where ``function`` begins, whose result was refused.
    """
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [(p, f.lineno) for f in frames if _is_strangers(p := Path(f.filename))]
    # A library that it called may have raised, which says less than the last line of its own.
    own = [(path, line) for path, line in lines if path.parent == lines[0][0].parent]
    if not own and (code := getattr(function, "__code__", None)):
        own = [(Path(code.co_filename), code.co_firstlineno)]
    return f"{text}, in {own[-1][0]}, line {own[-1][1]}" if own else text


def _is_strangers(path: Path) -> bool:
    """Tell whether code is neither ours nor Python's own, below which packages may lie."""
    standard = path.is_relative_to(sysconfig.get_path("stdlib"))
    packages = {"site-packages", "dist-packages"} & set(path.parts)
    ours = path.is_relative_to(Path(__file__).parent) or str(path).startswith("<")
    return not ours and (not standard or bool(packages))


def brief(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 characters."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(" .:")

"""The four hooks a plugin may implement, and the marker it implements them with."""

from collections.abc import Iterable

import pluggy

from benchbench.contract.method import Method
from benchbench.contract.mix import Mix
from benchbench.contract.model import Model
from benchbench.contract.task import Task

hookspec = pluggy.HookspecMarker("benchbench")
hookimpl = pluggy.HookimplMarker("benchbench")


@hookspec
def register_methods() -> Iterable[type[Method]]:
    """Return the finetuning methods this plugin provides."""
    return ()


@hookspec
def register_models() -> Iterable[Model]:
    """Return the base models this plugin provides, each pinned to a revision."""
    return ()


@hookspec
def register_tasks() -> Iterable[type[Task]]:
    """Return the tasks this plugin provides."""
    return ()


@hookspec
def register_mixes() -> Iterable[Mix]:
    """Return the mixes of training samples this plugin provides."""
    return ()

"""What a plugin may register: the kinds of items, and what each has to say of itself."""

from typing import Any

from benchbench.contract.method import Method
from benchbench.contract.mix import Mix
from benchbench.contract.model import Model
from benchbench.contract.task import Task

KINDS = {"method": Method, "model": Model, "task": Task, "mix": Mix}

FACTS = {
    "method": ("name",),
    "model": ("name",),
    "task": ("name", "family", "data_set", "metric", "protocols"),
    "mix": ("name", "components"),
}
"""What an item must say of itself before it can be listed."""


def check_item(kind: str, item: Any) -> None:
    """Raise TypeError for an item that is not of its kind, or does not say what it has to."""
    if wrong := _wrong(kind, item):
        raise TypeError(f"a hook for {kind}s gave {item!r}, {wrong}")


def _wrong(kind: str, item: Any) -> str | None:
    cls, a_value = KINDS[kind], kind in ("model", "mix")
    if not (isinstance(item, cls) if a_value else isinstance(item, type) and issubclass(item, cls)):
        return f"which is not a {'' if a_value else 'subclass of '}{cls.__name__}"
    for fact in FACTS[kind]:
        if not hasattr(item, fact):
            return f"which does not say its {fact}"
    if not a_value and (left := sorted(item.__abstractmethods__)):
        return f"which lacks {', '.join(left)}"
    return _wrong_task(item) if kind == "task" else None


def _wrong_task(task: type[Task]) -> str | None:
    """Say what is wrong with a task that could not be scored as it declares."""
    if "test" in task.splits and not task.judged:
        wanted = "score_choices" if task.ranked else "score"
        if getattr(task, wanted) is getattr(Task, wanted):
            return f"which lacks {wanted}"
    one = task.judged or task.next_turn is not Task.next_turn
    several = [name for name, p in task.protocols.items() if p.generation.n > 1]
    if one and several:
        return (
            f"whose protocol {several[0]!r} draws several completions; a task that is judged or "
            "has turns takes one, n=1"
        )
    return None

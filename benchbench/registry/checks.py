"""What a plugin may register: the kinds of items, and what each has to say of itself."""

from typing import Any

from benchbench.contract.method import Method
from benchbench.contract.mix import Mix
from benchbench.contract.model import Model
from benchbench.contract.task import Task

FACTS = {
    "method": ("name",),
    "model": ("name",),
    "task": ("name", "family", "data_set", "metric", "protocols"),
    "mix": ("name", "components"),
}
"""What an item must say of itself before it can be listed."""


def check_item(kind: str, item: Any) -> None:
    """Raise TypeError for an item that is not of its kind, or does not say what it has to."""
    good = {
        "method": isinstance(item, type) and issubclass(item, Method),
        "model": isinstance(item, Model),
        "task": isinstance(item, type) and issubclass(item, Task),
        "mix": isinstance(item, Mix),
    }[kind]
    a_value = kind in ("model", "mix")
    if not good:
        wanted = f"a {'' if a_value else 'subclass of '}{kind.capitalize()}"
        raise TypeError(f"a hook for {kind}s gave {item!r}, which is not {wanted}")
    for fact in FACTS[kind]:
        if not hasattr(item, fact):
            raise TypeError(f"a hook for {kind}s gave {item!r}, which does not say its {fact}")
    if not a_value and (left := sorted(item.__abstractmethods__)):
        raise TypeError(f"a hook for {kind}s gave {item!r}, which lacks {', '.join(left)}")
    if kind == "task" and (wrong := _wrong_task(item)):
        raise TypeError(f"a hook for tasks gave {item!r}, {wrong}")


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

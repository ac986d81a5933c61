"""What a command tells its user while it runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

Update = Callable[[int, int, str], None]
"""Told how many are done, of how many (0: not known yet), and a note to show beside the bar."""


class Reporter(Protocol):
    """Shows how far a command is."""

    def say(self, text: str) -> None: ...

    def bar(self, label: str, total: int) -> AbstractContextManager[Update]: ...

"""How a check ends, other than by returning what it found."""

import traceback
from pathlib import Path

SUITE = Path(__file__).parents[1]


class Failed(Exception):
    """What was expected, what came out, and what to change; the author reads it."""


class NotTried(Exception):
    """Why a check cannot be made of this method, or here."""


def line(error: BaseException) -> str:
    """Return an error as one line, and where it left code that is neither ours nor a library's."""
    text = " ".join(str(error).split()).rstrip(".")
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if SUITE not in path.parents and "site-packages" not in path.parts:
            return f"{text} ({path.name}, line {frame.lineno})"
    return text

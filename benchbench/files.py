"""Files that are written whole or not at all, or line by line."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a place to write to, which takes the place of ``path`` when nothing was raised.

    Its folder is made. What a killed process leaves is named after the file, with ``.part`` behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; OSError where the system refuses."""
    with replacing(path) as part:
        part.write_bytes(content)


@contextmanager
def streams_to(descriptor: int) -> Iterator[None]:
    """Send both standard streams to a file, below Python: libraries hold on to stream objects."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, copy in enumerate(kept, start=1):
            os.dup2(copy, stream)
            os.close(copy)


def append(path: Path, row: Any) -> None:
    """Add a line of JSON to a file; it survives the death of this process.

    Its folder is made. OSError where the system refuses.
    """
    line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(line.encode())


def read_lines(path: Path) -> list[Any]:
    """Read the lines that ``append`` wrote; a half-written last one is dropped from the file too.

    Of no file there are none. ValueError where a line is no JSON.
    """
    whole = path.read_bytes() if path.exists() else b""
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        os.truncate(path, end)
    return [json.loads(line) for line in whole[:end].splitlines()]

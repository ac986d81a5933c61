"""Mixes of training corpora, each a TOML file beside this one."""

from collections.abc import Iterable
from pathlib import Path

from benchbench import Mix, hookimpl, read_mix


@hookimpl
def register_mixes() -> Iterable[Mix]:
    return [read_mix(path) for path in sorted(Path(__file__).parent.glob("*.toml"))]

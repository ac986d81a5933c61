"""A plugin that is a single file, without a package: loaded where a command names it."""

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from benchbench.errors import PluginError

SUFFIX = ".py"


class Source(NamedTuple):
    """What stands in records where an installed plugin has its distribution."""

    name: str
    version: str


@dataclass(frozen=True)
class PluginFile:
    """A Python file that implements our hooks."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def dist(self) -> Source:
        """Return the file's name and the first digits of the SHA-256 of its content."""
        return Source("file", hashlib.sha256(self.path.read_bytes()).hexdigest()[:12])

    def load(self) -> ModuleType:
        """Import the file; whatever it raises comes through."""
        spec = importlib.util.spec_from_file_location(self.name, self.path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.name] = module  # dataclasses look themselves up there
        try:
            spec.loader.exec_module(module)
        except BaseException:  # an interrupt too must not leave half a module behind
            del sys.modules[self.name]
            raise
        return module


def plugin_file(text: str) -> PluginFile:
    """Return the plugin that a path names; PluginError where it cannot be one."""
    path = Path(text).absolute()
    if not path.is_file():
        raise PluginError(f"there is no file {text!r} to load as a plugin; check the path.")
    found = PluginFile(path)
    known = importlib.util.find_spec(found.name) if found.name.isidentifier() else None
    other = Path(known.origin) if known and known.origin else path  # or a word, of a built-in one
    if not found.name.isidentifier() or not (other.is_file() and path.samefile(other)):
        raise PluginError(
            f"a plugin file cannot be named {path.name!r}, which is no module's name or that of "
            "another module; rename it, such as my_method.py."
        )
    return found

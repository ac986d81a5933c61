"""Finds plugins and answers "what has this name?".

Stock plugins and strangers' come through the same door: an entry point of the group ``benchbench``
whose value is a module, or a package that stands for all its modules.
"""

import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from importlib.metadata import Distribution, EntryPoint, entry_points
from types import ModuleType
from typing import Any, get_type_hints

import pluggy

from benchbench.contract import hookspecs
from benchbench.contract.method import Method
from benchbench.contract.mix import Mix
from benchbench.contract.model import Model
from benchbench.contract.task import Protocol, Task
from benchbench.errors import (
    BadParameter,
    BenchbenchError,
    DuplicateName,
    PluginError,
    UnknownName,
    described,
)
from benchbench.records.record import PluginOrigin
from benchbench.registry.checks import check_item
from benchbench.registry.file import SUFFIX, PluginFile, Source, plugin_file
from benchbench.specs import MethodSpec, TaskSpec, _type_name, typed

GROUP = "benchbench"

PLURALS = {"method": "methods", "model": "models", "task": "tasks", "mix": "mixes"}
"""Kind of item -> what hooks, and the registry, call all of them."""


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that raised when it was loaded; commands that do not need it go on."""

    name: str
    cause: str
    """What it raised, and the line of its file."""

    def __str__(self) -> str:
        return (
            f"plugin {self.name!r} does not work ({self.cause}); "
            f"leave it out with --no-plugin {self.name}."
        )


@dataclass(frozen=True)
class Registry:
    """Every name that plugins provide."""

    methods: Mapping[str, type[Method]]
    models: Mapping[str, Model]
    tasks: Mapping[str, type[Task]]
    mixes: Mapping[str, Mix]
    origins: Mapping[tuple[str, str], PluginOrigin]
    """(kind, name) -> where it came from; kind is a key of ``registration.FACTS``."""
    plugins: tuple[PluginOrigin, ...] = ()
    broken: tuple[BrokenPlugin, ...] = field(default=())

    @classmethod
    def load(cls, block: Collection[str] = (), extra: Iterable[str] = ()) -> "Registry":
        """Import all plugins but the blocked ones, and those that ``extra`` names: modules, or
        paths of single files."""
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        origins: dict[str, PluginOrigin] = {}
        doors: dict[str, EntryPoint | PluginFile] = {}
        broken: list[BrokenPlugin] = []
        seen: set[str] = set()
        for door in (*entry_points(group=GROUP), *map(_door, extra)):
            seen.add(door.name)
            if door.name in block:
                continue
            for name, load in _modules(door, broken):
                seen.add(name)
                if name in block:
                    continue
                if name in origins:
                    raise _registered_twice(name, doors[name], door)
                try:
                    manager.register(load(), name)
                except Exception as error:  # a stranger's module may raise anything
                    broken.append(BrokenPlugin(name, described(error)))
                    continue
                origins[name], doors[name] = _origin(name, door), door
        if unknown := sorted(set(block) - seen):
            raise UnknownName("plugin", unknown[0], seen)
        _refuse_misspelt_hooks(manager)
        return cls.of(manager, origins, broken)

    @classmethod
    def of(
        cls,
        manager: pluggy.PluginManager,
        origins: Mapping[str, PluginOrigin],
        broken: Iterable[BrokenPlugin] = (),
    ) -> "Registry":
        """Collect what the plugins of a manager provide."""
        found: dict[tuple[str, str], PluginOrigin] = {}
        failed = list(broken)
        items: dict[str, dict[str, Any]] = {}
        for kind, kinds in PLURALS.items():
            known = items.setdefault(kinds, {})
            # Plugin by plugin, so that each item keeps its plugin's name.
            for hook in getattr(manager.hook, f"register_{kinds}").get_hookimpls():
                unknown = PluginOrigin(plugin=hook.plugin_name, distribution="", version="")
                origin = origins.get(hook.plugin_name, unknown)
                try:
                    provided = list(hook.function())
                    for item in provided:
                        check_item(kind, item)
                except Exception as error:  # a stranger's hook may raise anything
                    failed.append(BrokenPlugin(hook.plugin_name, described(error, hook.function)))
                    continue
                for item in provided:
                    if item.name in known:
                        first = found[kind, item.name].plugin
                        raise DuplicateName(kind, item.name, first, hook.plugin_name)
                    known[item.name], found[kind, item.name] = item, origin
        for name in items["mixes"].keys() & items["tasks"].keys():
            raise DuplicateName("task", name, found["task", name].plugin, found["mix", name].plugin)
        providers = {origin.plugin for origin in found.values()}
        return cls(
            **{kinds: dict(sorted(known.items())) for kinds, known in items.items()},
            origins=found,
            plugins=tuple(o for name, o in sorted(origins.items()) if name in providers),
            broken=tuple(failed),
        )

    def method(self, spec: MethodSpec) -> Method:
        """Build a method; raises UnknownName or BadParameter."""
        built: Method = self._build("method", spec)
        return built

    def task(self, spec: TaskSpec) -> Task:
        """Build a task; raises UnknownName or BadParameter."""
        built: Task = self._build("task", spec)
        return built

    def resolve_method(self, spec: MethodSpec, learning_rate_factor: float) -> MethodSpec:
        """Fill in every default; the default learning rate is scaled to the model."""
        method = self.method(spec)
        params = {f.name: getattr(method, f.name) for f in fields(method)}
        if "learning_rate" not in spec.params:
            params["learning_rate"] = float(f"{method.learning_rate * learning_rate_factor:.6g}")
        return MethodSpec(name=spec.name, version=method.version, params=params)

    def resolve_task(self, spec: TaskSpec) -> TaskSpec:
        """Fill in the protocol and every parameter; what its split does not heed, by default."""
        task = self.task(spec)
        protocol = spec.protocol or next(iter(task.protocols))
        self.protocol(replace(spec, protocol=protocol))
        unheeded = {"train": task.evaluation_only, "test": task.training_only}.get(spec.split, ())
        params = {
            f.name: f.default
            if f.name in unheeded and f.default is not MISSING
            else getattr(task, f.name)
            for f in fields(task)
        }
        return replace(spec, protocol=protocol, version=task.version, params=params)

    def expand_task(self, spec: TaskSpec) -> list[TaskSpec]:
        """Return the tasks that a name stands for: one, or those of a family that have its split.

        Raises BadParameter where a family has none.
        """
        family = sorted(name for name, task in self.tasks.items() if task.family == spec.name)
        if spec.name in self.tasks or not family:
            return [spec]
        found = [name for name in family if spec.split in self.tasks[name].splits]
        if not found:
            raise BadParameter(
                f"the tasks of family {spec.name!r} have no {spec.split} split: "
                f"{', '.join(family)}; name one with --train-on to train on it."
            )
        return [replace(spec, name=name) for name in found]

    def protocol(self, spec: TaskSpec) -> Protocol:
        """Return the protocol a resolved spec names; raises BadParameter."""
        known: Mapping[str, Protocol] = self._find("task", spec.name).protocols
        if spec.protocol not in known:
            raise BadParameter(
                f"task {spec.name!r} has no protocol {spec.protocol!r}; it has: {', '.join(known)}."
            )
        return known[spec.protocol]

    def _build(self, kind: str, spec: MethodSpec | TaskSpec) -> Any:
        cls, owner = self._find(kind, spec.name), f"{kind} {spec.name!r}"
        hints, known = get_type_hints(cls), [each.name for each in fields(cls)]
        if unknown := sorted(set(spec.params) - set(known)):
            raise BadParameter(
                f"{owner} has no parameter {', '.join(unknown)}; "
                f"it has: {', '.join(known) or 'none'}."
            )
        values = {key: typed(owner, key, value, hints[key]) for key, value in spec.params.items()}
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise BadParameter(f"{owner}: {error}.") from error

    def _find(self, kind: str, name: str) -> Any:
        known: Mapping[str, Any] = getattr(self, PLURALS[kind])
        if name not in known:
            note = "".join(f" Note: {plugin}" for plugin in self.broken)
            tasks = self.tasks.values() if kind == "task" else ()
            families = {task.family for task in tasks if "test" in task.splits}
            raise UnknownName(kind, name, [*known, *families], note)
        return known[name]


def parameters(cls: type[Method] | type[Task]) -> dict[str, tuple[str, Any]]:
    """Return a class's parameters: name -> (type as text, default)."""
    hints = get_type_hints(cls)
    return {
        f.name: (_type_name(hints[f.name]), None if f.default is MISSING else f.default)
        for f in fields(cls)
    }


def _door(text: str) -> EntryPoint | PluginFile:
    return plugin_file(text) if text.endswith(SUFFIX) else EntryPoint(text, text, GROUP)


def _modules(
    door: EntryPoint | PluginFile, broken: list[BrokenPlugin]
) -> Iterator[tuple[str, Callable[[], ModuleType]]]:
    """Yield the modules behind an entry point, each with how to import it."""
    try:
        package = door.load()
    except Exception as error:  # a stranger's module may raise anything
        broken.append(BrokenPlugin(door.name, described(error)))
        return
    # Named as the user knows it: the entry point, or the module within the package.
    yield door.name, lambda: package
    for info in pkgutil.iter_modules(getattr(package, "__path__", [])):
        name = f"{package.__name__}.{info.name}"
        yield name, lambda name=name: importlib.import_module(name)  # type: ignore[misc]


def _origin(name: str, door: EntryPoint | PluginFile) -> PluginOrigin:
    found = door.dist or Source("", "")
    return PluginOrigin(plugin=name, distribution=found.name, version=found.version)


def _registered_twice(
    name: str, first: EntryPoint | PluginFile, second: EntryPoint | PluginFile
) -> BenchbenchError:
    """Tell what to do about two doors with one name; leaving that name out would close both."""
    packages = {
        door.dist.name: door.dist.locate_file("")
        for door in (first, second)
        if isinstance(door.dist, Distribution)
    }
    if len(packages) < 2:
        return DuplicateName("plugin", name, first.dist.name if first.dist else "", name)
    found = " and ".join(f"{package} (in {folder})" for package, folder in packages.items())
    return PluginError(
        f"plugin {name!r} is registered by two installed packages, {found}; take one away with "
        "`pip uninstall NAME`, or delete the NAME.egg-info that it left in a clone."
    )


def _refuse_misspelt_hooks(manager: pluggy.PluginManager) -> None:
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        plugin = manager.get_name(error.plugin)
        hooks = ", ".join(name for name in dir(hookspecs) if name.startswith("register_"))
        raise PluginError(
            f"plugin {plugin!r} implements a hook that does not exist ({error}); "
            f"the hooks are: {hooks}. Mend it, or leave it out with --no-plugin {plugin}."
        ) from error

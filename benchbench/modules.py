"""Small trained networks beside layers of a base model; these names are what plugins use."""

from benchbench.checkpoints.modules import (
    ACTIVATIONS,
    AddedModule,
    addition,
    attach,
    detach,
    load,
    read,
    save,
)
from benchbench.models.layers import block_ends, layers_with_bias

__all__ = [
    "ACTIVATIONS",
    "AddedModule",
    "addition",
    "attach",
    "block_ends",
    "detach",
    "layers_with_bias",
    "load",
    "read",
    "save",
]

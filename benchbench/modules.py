"""Small trained networks beside layers of a base model; these names are what plugins use."""

from benchbench.checkpoints.modules import ACTIVATIONS as ACTIVATIONS
from benchbench.checkpoints.modules import AddedModule as AddedModule
from benchbench.checkpoints.modules import addition as addition
from benchbench.checkpoints.modules import attach as attach
from benchbench.checkpoints.modules import detach as detach
from benchbench.checkpoints.modules import load as load
from benchbench.checkpoints.modules import read as read
from benchbench.checkpoints.modules import save as save
from benchbench.models.layers import block_ends as block_ends
from benchbench.models.layers import layers_with_bias as layers_with_bias

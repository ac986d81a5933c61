"""benchbench: which finetuning method comes closest to full finetuning, and how sure is that?

These names are all a plugin needs; metrics lie in ``benchbench.metrics``.
"""

from benchbench.contract.hookspecs import hookimpl
from benchbench.contract.method import Method, Training
from benchbench.contract.mix import Mix, read_mix
from benchbench.contract.model import Model
from benchbench.contract.task import Data, Generation, HubData, Message, Protocol, Sample, Task
from benchbench.errors import Unsuited, needs
from benchbench.models.layers import linear_layers, projected_groups
from benchbench.models.peft import PeftMethod, peft_model
from benchbench.specs import MethodSpec, ModelSpec, Route, RunSpec, TaskSpec, TrainSpec

__version__ = "0.1.0"

__all__ = [
    "Data",
    "Generation",
    "HubData",
    "Message",
    "Method",
    "MethodSpec",
    "Mix",
    "Model",
    "ModelSpec",
    "PeftMethod",
    "Protocol",
    "Route",
    "RunSpec",
    "Sample",
    "Task",
    "TaskSpec",
    "TrainSpec",
    "Training",
    "Unsuited",
    "hookimpl",
    "linear_layers",
    "needs",
    "peft_model",
    "projected_groups",
    "read_mix",
]

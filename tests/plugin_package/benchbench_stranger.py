"""A stranger's plugin: one method and one task, written with public names only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchbench import Data, Generation, Method, Protocol, Sample, Task, hookimpl


@dataclass(frozen=True, kw_only=True)
class HeadOnly(Method):
    """Train nothing but the last norm, a stranger's idea."""

    name = "last-norm"

    learning_rate: float = 1e-3

    def adapt(self, model, training):
        model.requires_grad_(False)
        model.get_submodule("model.norm").requires_grad_(True)
        return model


@dataclass(frozen=True, kw_only=True)
class Parrot(Task):
    """Say the input again."""

    name = "parrot"
    family = "toy"
    data_set = "parrot"
    embedded = __import__("pathlib").Path(__file__).parent
    metric = "same"
    protocols = {
        "say": Protocol(summary="the bare input", generation=Generation(max_tokens=8), form="text")
    }

    def samples(self, split: str, data: Data) -> Iterable[Sample]:
        words = ("red", "blue", "green", "small", "large") if split == "train" else ("old", "new")
        for word in words:
            yield Sample(id=f"{split}/{word}", input=word, targets=(word,))

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        return {"same": float(answers[0] == sample.targets[0])}


@hookimpl
def register_methods():
    return [HeadOnly]


@hookimpl
def register_tasks():
    return [Parrot]

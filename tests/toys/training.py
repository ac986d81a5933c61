"""Methods that end a training in every way there is; a plugin of the tests."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbench import Method, Route, Training, Unsuited, hookimpl


@dataclass(frozen=True, kw_only=True)
class Toy(Method):
    """Trains everything; the others change one step of it."""

    name = "toy"

    def adapt(self, model: Any, training: Training) -> Any:
        return model


@dataclass(frozen=True, kw_only=True)
class LosesItsLoss(Toy):
    name = "loses-its-loss"

    def after_step(self, model: Any, step: int) -> None:
        if step == 2:
            model.lm_head.weight.data.fill_(float("nan"))


@dataclass(frozen=True, kw_only=True)
class LosesItsGradient(Toy):
    name = "loses-its-gradient"

    def adapt(self, model: Any, training: Training) -> Any:
        model.model.norm.weight.register_hook(lambda gradient: gradient * float("inf"))
        return model


@dataclass(frozen=True, kw_only=True)
class Hungry(Toy):
    """Runs out of memory, as each kind of memory says it."""

    name = "hungry"

    kind: str = "cpu"

    def adapt(self, model: Any, training: Training) -> Any:
        import torch

        if self.kind == "cpu":
            return torch.empty(2**58)
        if self.kind == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        raise MemoryError


@dataclass(frozen=True, kw_only=True)
class Unfit(Toy):
    name = "unfit"

    def adapt(self, model: Any, training: Training) -> Any:
        raise Unsuited(f"a {model.config.model_type} has no experts")


@dataclass(frozen=True, kw_only=True)
class Broken(Toy):
    """Prints what looks like progress, then raises at a step."""

    name = "broken"

    step: int = 1

    def after_step(self, model: Any, step: int) -> None:
        print('{"phase": "training", "step": 99}', flush=True)
        if step == self.step:
            raise ValueError(f"no luck with\n  {Path.home() / 'secret'}")


@dataclass(frozen=True, kw_only=True)
class Idle(Toy):
    name = "idle"

    def adapt(self, model: Any, training: Training) -> Any:
        return model.requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class Stateful(Toy):
    """Keeps in Python what decides the next step, so that it cannot go on in another process."""

    name = "stateful"
    resumable = False


@dataclass(frozen=True, kw_only=True)
class Astray(Toy):
    """Names a route there is not."""

    name = "astray"

    def export(self, model: Any, folder: Path) -> Any:
        model.save_pretrained(folder)
        return "telepathy"


@dataclass(frozen=True, kw_only=True)
class Pickler(Toy):
    name = "pickler"

    def export(self, model: Any, folder: Path) -> Route:
        import torch

        torch.save(model.state_dict(), folder / "weights.bin")
        return "weights"


@dataclass(frozen=True, kw_only=True)
class Curious(Toy):
    """Looks at the batches, chooses its optimizer, sees its gradients; tells all in a file."""

    name = "curious"

    diary: str

    def tell(self, text: str) -> None:
        with Path(self.diary).open("a") as file:
            file.write(text + "\n")

    def adapt(self, model: Any, training: Training) -> Any:
        rows = [next(training.batches())["input_ids"].shape[0] for _ in range(2)]
        self.tell(f"adapt {training.steps} {rows}")
        return model

    def optimizer(self, model: Any, training: Training) -> Any:
        import torch

        return torch.optim.SGD([model.model.norm.weight], lr=self.learning_rate)

    def after_step(self, model: Any, step: int) -> None:
        self.tell(f"step {step} {model.model.norm.weight.grad is not None}")


@dataclass(frozen=True, kw_only=True)
class Lonely(Toy):
    """Fails in one of several processes, while the others wait for it."""

    name = "lonely"

    rank: int = 0

    def adapt(self, model: Any, training: Training) -> Any:
        if int(os.environ.get("RANK", "0")) == self.rank:
            raise ValueError(f"rank {self.rank} is lonely")
        time.sleep(600)
        return model


@hookimpl
def register_methods() -> list[type[Method]]:
    return [
        Toy,
        LosesItsLoss,
        LosesItsGradient,
        Hungry,
        Unfit,
        Broken,
        Idle,
        Stateful,
        Astray,
        Pickler,
        Curious,
        Lonely,
    ]

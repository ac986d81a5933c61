"""LoRA: a trained low-rank matrix beside each frozen linear layer (arXiv 2106.09685)."""

from dataclasses import dataclass
from typing import Any

from benchbench import Method, PeftMethod, Training, hookimpl


@dataclass(frozen=True, kw_only=True)
class Lora(PeftMethod):
    """Add ``alpha / rank * B A`` to the linear layers and train only A and B.

    Adapters sit on every linear layer but the head, where they do best at equal parameters
    (QLoRA, arXiv 2305.14314, section 4); alpha equals rank as in the study (arXiv 2411.16775).
    The study's own layers are ``targets=q_proj+v_proj`` (of T5 ``q+v``), its grid is rank 8, 32,
    64, 128, 256, 512 by learning rate 1e-5, 5e-5, 1e-4, 5e-4, 1e-3; its best rate was 1e-4.
    """

    name = "lora"
    family = "LoRA"
    source = "https://arxiv.org/abs/2106.09685"
    packable = True
    config = "LoraConfig"
    options = {"r": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout"}
    least = {"rank": 1, "alpha": 1, "dropout": 0}
    below = {"dropout": 1}

    rank: int = 16
    """Inner dimension r, at least 1."""
    alpha: int = 16
    """The update is scaled by alpha / rank."""
    dropout: float = 0.0
    """Chance that an input of A is zeroed in training, in [0, 1)."""
    targets: str = "all-linear"
    """``all-linear``, or names of linear layers joined by ``+``."""
    ranks: str = ""
    """Ranks of some layers in place of ``rank``, as ``q_proj:8+v_proj:32``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ranks()

    def peft_options(self, model: Any, training: Training) -> dict[str, Any]:
        return super().peft_options(model, training) | {"rank_pattern": self._ranks()}

    def adapt(self, model: Any, training: Training) -> Any:
        made = super().adapt(model, training)
        layers = {n.rpartition(".")[2] for n, m in made.named_modules() if hasattr(m, "lora_A")}
        if unknown := sorted(self._ranks().keys() - layers):
            raise ValueError(
                f"ranks names {', '.join(unknown)}; LoRA is on {', '.join(sorted(layers))}"
            )
        return made

    def _ranks(self) -> dict[str, int]:
        found = {}
        for part in filter(None, self.ranks.split("+")):
            layer, _, rank = part.partition(":")
            if not layer or not rank.isdecimal() or int(rank) < 1:
                raise ValueError(f"ranks holds {part!r}; write it as q_proj:8+v_proj:32")
            found[layer] = int(rank)
        return found


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Lora]

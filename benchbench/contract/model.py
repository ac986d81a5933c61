"""What a plugin says of a base model it provides."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Model:
    """A base model, pinned.

    ``path`` is a folder in Hugging Face layout or a hub id; a hub id must come with the 40-digit
    ``revision`` it was tried at, a folder is pinned by the hash of its files.
    """

    name: str
    path: str
    revision: str | None = None
    learning_rate_factor: float = 1.0
    """What every method's default learning rate is multiplied by on this model.

    The literature's defaults are for models of 10⁹ parameters; a much smaller model wants larger
    steps. The ratio between methods stays as published.
    """
    description: str = ""

    def __post_init__(self) -> None:
        if not self.learning_rate_factor > 0:
            raise ValueError(
                f"learning_rate_factor of model {self.name!r} is {self.learning_rate_factor}; "
                "it must be above 0"
            )

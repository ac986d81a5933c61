"""nano-t5: the small encoder-decoder model that comes with benchbench."""

from pathlib import Path

from benchbench import Model, hookimpl

WEIGHTS = Path(__file__).parent / "weights"


@hookimpl
def register_models() -> list[Model]:
    return [
        Model(
            name="nano-t5",
            path=str(WEIGHTS),
            learning_rate_factor=10.0,
            description="T5 of 2.6 M parameters, pretrained on text made by this project",
        )
    ]

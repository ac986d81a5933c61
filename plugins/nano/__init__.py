"""nano: the small base model that comes with benchbench, so that everything runs anywhere."""

from pathlib import Path

from benchbench import Model, hookimpl

WEIGHTS = Path(__file__).parent / "weights"


@hookimpl
def register_models() -> list[Model]:
    return [
        Model(
            name="nano",
            path=str(WEIGHTS),
            learning_rate_factor=10.0,
            description="Llama of 2.3 M parameters, pretrained on text made by this project",
        )
    ]

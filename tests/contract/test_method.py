"""What a method says of its fields is checked when it is built."""

from dataclasses import dataclass
from typing import Any

import pytest

from benchbench import Method, Training


@dataclass(frozen=True, kw_only=True)
class Bounded(Method):
    name = "bounded"
    least = {"rank": 2, "dropout": 0, "layers": 1}
    above = {"scale": 0, "cosine": 0}
    below = {"dropout": 1, "cosine": 1, "shift": 3}
    even = {"rank"}

    rank: int = 2
    layers: int = 1
    dropout: float = 0.0
    scale: float = 1.0
    cosine: float = 0.5
    shift: float = 0.0

    def adapt(self, model: Any, training: Training) -> Any:
        return model


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("learning_rate", 0.0, "be above 0"),
        ("layers", 0, "be 1 or more"),
        ("rank", 3, "be even and 2 or more"),
        ("rank", 0, "be even and 2 or more"),
        ("dropout", 1.0, "lie in [0, 1)"),
        ("dropout", -0.1, "lie in [0, 1)"),
        ("scale", 0.0, "be above 0"),
        ("cosine", 1.0, "lie between 0 and 1"),
        ("shift", 3.0, "be below 3"),
        *((name, float("nan"), "") for name in ("learning_rate", "dropout", "scale", "shift")),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_what_is_allowed(
    name: str, value: float, allowed: str
) -> None:
    with pytest.raises(ValueError) as error:
        Bounded(**{name: value})  # type: ignore[arg-type]
    assert str(error.value).startswith(f"{name} is {value}; it must {allowed}")


def test_bounds_themselves_are_allowed_where_they_are_closed() -> None:
    made = Bounded(rank=4, layers=1, dropout=0.0, scale=1e-9, shift=2.9)
    assert (made.rank, made.layers, made.dropout) == (4, 1, 0.0)


@pytest.mark.parametrize("fact", ["least", "above", "below", "even"])
def test_a_bound_of_what_is_no_field_is_said(fact: str) -> None:
    cls = dataclass(frozen=True, kw_only=True)(type("Misspelt", (Bounded,), {fact: {"ranks": 1}}))
    with pytest.raises(TypeError) as error:
        cls()
    assert f"{fact} of Misspelt names ranks, which is no field; the fields are" in str(error.value)

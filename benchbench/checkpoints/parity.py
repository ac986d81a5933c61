"""The parity gate: is what the engine serves the model that was trained?

The commonest silent failure of adapter evaluation is to score the base model, or an adapter that
the server reads differently from the trainer. So training leaves the log-probabilities of fixed
prompts under the base and under the trained model, and the engine must reproduce them before its
first score counts.
"""

import json
import math
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchbench import files
from benchbench.errors import StoreError, reading
from benchbench.records.record import Parity
from benchbench.specs import Precision

TEXTS = (
    "Definition: In this task, you are given a short story. Answer the question about it.\n\n"
    "Now complete the following example -\nInput: Anna has a red ball. What does she have?\n"
    "Output: a red ball",
    "The quick brown fox jumps over the lazy dog, and then it runs home before the rain starts.",
    "Question: What is 17 + 25?\nAnswer: 17 + 25 = 42.",
    "def add(first, second):\n    return first + second\n",
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
    "Das Haus ist groß. La casa es grande. Дом большой. 家は大きい。",
    "<|user|>\nWrite one sentence about the sea.\n<|assistant|>\nThe sea is wide and blue.",
    "yes no true false A B C D",
)
"""Fixed for ever: another text would make old and new numbers incomparable."""

MOST_TOKENS = 96

TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "bfloat16": 0.15}
"""Largest difference allowed, in nats. Measured between engines: below 1e-5 in float32, below 0.06
in bfloat16, where one rounding step of a logit is up to 0.03."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Log-probabilities of the fixed prompts, as training saw them."""

    prompts: list[list[int]]
    base: list[list[float]]
    trained: list[list[float]]

    def write(self, path: Path) -> None:
        files.write(path, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, path: Path) -> "Reference":
        what = f"{path.name} of run {path.parent.name}"
        with reading(what, StoreError, "delete that run's folder and run again"):
            return cls(**json.loads(path.read_text()))


def tokenize(tokenizer: Any) -> list[list[int]]:
    """Return the token ids of the fixed prompts for this tokenizer."""
    return [tokenizer(text)["input_ids"][:MOST_TOKENS] for text in TEXTS]


def check(
    served: list[list[float]], reference: Reference, route: str, precision: Precision
) -> Parity:
    """Compare log-probabilities [prompts, tokens] as they are served with those as trained.

    It passes if no token differs by more than the tolerance, and if a trained checkpoint is at
    least twice as far from the base model as from what was trained.
    """
    difference = largest_difference(served, reference.trained)
    effect = largest_difference(served, reference.base)
    tolerance = TOLERANCE[precision]
    return Parity(
        tokens=sum(map(len, reference.trained)),
        max_difference=difference if math.isfinite(difference) else None,
        effect=effect if math.isfinite(effect) else None,
        tolerance=tolerance,
        passed=difference <= tolerance and (route == "base" or effect > 2 * difference),
    )


def largest_difference(first: list[list[float]], second: list[list[float]]) -> float:
    """Return the largest absolute difference, infinite where shapes differ or a NaN stands."""
    if [len(row) for row in first] != [len(row) for row in second]:
        return math.inf
    pairs = zip(chain(*first), chain(*second), strict=True)
    differences = [abs(a - b) for a, b in pairs]
    return math.inf if any(map(math.isnan, differences)) else max(differences, default=math.inf)

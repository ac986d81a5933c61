"""Reads verdicts out of reviews that other suites had their judges write.

No judge of ours writes reviews. These are the forms of published judgements, so that they can be
compared with ours; each is what its own prompt asked for:

- FastChat's pairwise judge: ``[[A]]``, ``[[B]]`` or ``[[C]]`` for a tie, anywhere;
- Vicuna's: two scores from 1 to 10 on the first line, ``8 9`` or ``8, 9``;
- QLoRA's: ``1``, ``2`` or ``3`` for a tie, alone on the last line.
"""

import re

BRACKETS = {"[[A]]": 1.0, "[[B]]": 0.0, "[[C]]": 0.5}
CLASSES = {"1": 1.0, "2": 0.0, "3": 0.5}
SCORES = re.compile(r"(\d{1,2}(?:\.\d+)?)(?:\s*,\s*|\s+)(\d{1,2}(?:\.\d+)?)", re.ASCII)


def bracketed(review: str) -> float | None:
    """Return the preference for A in FastChat's form; None where there is no verdict.

    As there, A counts before B and B before C where a review has several.
    """
    return next((value for text, value in BRACKETS.items() if text in review), None)


def scored(review: str) -> float | None:
    """Return the preference for the first in Vicuna's form; None where there are no two scores."""
    found = SCORES.fullmatch(review.lstrip().partition("\n")[0].strip())
    if not found:
        return None
    first, second = map(float, found.groups())
    return 0.5 if first == second else float(first > second)


def classed(review: str) -> float | None:
    """Return the preference for the first in QLoRA's form; None where the last line is none."""
    return CLASSES.get(review.rstrip().rpartition("\n")[2].strip())


def over_orders(shown_first: float | None, shown_second: float | None) -> float | None:
    """Return the mean preference for an answer that was reviewed first, and second.

    ``shown_second`` is the preference for its opponent, which then came first. None where either
    has no verdict.
    """
    if shown_first is None or shown_second is None:
        return None
    return (shown_first + 1 - shown_second) / 2

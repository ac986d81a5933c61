"""Whether an answer is a reference, word for word."""

import string
from collections.abc import Sequence

WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(answer: str, references: Sequence[str]) -> float:
    """Return 1 if the answer equals a reference after ``normalise``, else 0."""
    words = normalise(answer)
    return float(any(words == normalise(reference) for reference in references))


def normalise(text: str) -> list[str]:
    """Return the words in lower case without ASCII punctuation; articles stay.

    So does Super-NaturalInstructions (Tk-Instruct's compute_metrics.py); SQuAD drops articles too.
    """
    return text.lower().translate(WITHOUT_PUNCTUATION).split()

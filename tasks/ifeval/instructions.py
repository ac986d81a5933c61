"""The 25 kinds of instruction of IFEval, each a check of a text.

Verdicts are those of the released script (google-research, instruction_following_eval), oddities
included; they are noted where they surprise. What differs changes none on the released prompts:
arguments are looked for as they stand and are no patterns, nothing is drawn at random where an
argument is missing, and no check tries again and again what would take hours on a long text.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Literal, get_type_hints

from benchbench_tasks.ifeval.language import is_language, sentences, words

Relation = Literal["less than", "at least"]

INSTRUCTIONS: dict[str, Callable[..., bool]] = {}
"""Name -> check of a text and of the arguments that the prompt names."""


def instruction(name: str) -> Callable[[Callable[..., bool]], Callable[..., bool]]:
    """Register a check under the name that prompts call it by."""

    def register(check: Callable[..., bool]) -> Callable[..., bool]:
        INSTRUCTIONS[name] = check
        return check

    return register


def parameters(name: str) -> dict[str, object]:
    """Return what an instruction must be told: parameter -> type."""
    hints = get_type_hints(INSTRUCTIONS[name])
    return {key: kind for key, kind in hints.items() if key not in ("text", "return")}


def holds(found: Iterable[object], relation: Relation, number: int) -> bool:
    """Tell whether so many were found; looks no further than it must."""
    enough = sum(1 for _ in islice(found, number)) == number
    return enough if relation == "at least" else not enough


def occurrences(word: str, text: str) -> Iterator[object]:
    """Yield where a word occurs, in other words too, in capitals or not."""
    return re.finditer(re.escape(word), text, re.IGNORECASE)


@instruction("keywords:existence")
def keywords_exist(text: str, keywords: tuple[str, ...]) -> bool:
    return all(holds(occurrences(word, text), "at least", 1) for word in keywords)


@instruction("keywords:frequency")
def keyword_frequency(text: str, keyword: str, frequency: int, relation: Relation) -> bool:
    return holds(occurrences(keyword.strip(), text), relation, frequency)


@instruction("keywords:forbidden_words")
def forbidden_words(text: str, forbidden_words: tuple[str, ...]) -> bool:
    patterns = (rf"\b{re.escape(word)}\b" for word in forbidden_words)
    return not any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)


@instruction("keywords:letter_frequency")
def letter_frequency(text: str, letter: str, let_frequency: int, let_relation: Relation) -> bool:
    count = text.lower().count(letter.strip().lower())
    return holds(range(count), let_relation, let_frequency)


@instruction("language:response_language")
def response_language(text: str, language: str) -> bool:
    return is_language(text, language)


@instruction("length_constraints:number_sentences")
def number_sentences(text: str, num_sentences: int, relation: Relation) -> bool:
    return holds(sentences(text), relation, num_sentences)


@instruction("length_constraints:number_words")
def number_words(text: str, num_words: int, relation: Relation) -> bool:
    return holds(re.finditer(r"\w+", text), relation, num_words)


@instruction("length_constraints:number_paragraphs")
def number_paragraphs(text: str, num_paragraphs: int) -> bool:
    """Paragraphs are what lies between ``***``; only the first and the last may be blank."""
    paragraphs = [bool(part.strip()) for part in re.split(r"\s?\*\*\*\s?", text)]
    return all(paragraphs[1:-1]) and sum(paragraphs) == num_paragraphs


@instruction("length_constraints:nth_paragraph_first_word")
def nth_paragraph_first_word(
    text: str, num_paragraphs: int, nth_paragraph: int, first_word: str
) -> bool:
    """Paragraphs are what lies between empty lines.

    Blank ones do not count, yet do when the n-th is looked up.
    """
    paragraphs = [part.strip() for part in text.split("\n\n")]
    count = sum(map(bool, paragraphs))
    if count != num_paragraphs or not 0 < nth_paragraph <= count:
        return False
    paragraph = paragraphs[nth_paragraph - 1]
    if not paragraph:
        return False
    word = paragraph.split(maxsplit=1)[0].lstrip("'").lstrip('"')
    return re.split(r"[.,?!'\"]", word, maxsplit=1)[0].lower() == first_word.lower()


@instruction("detectable_content:number_placeholders")
def number_placeholders(text: str, num_placeholders: int) -> bool:
    """A placeholder is in square brackets on one line."""
    return holds(placeholders(text), "at least", num_placeholders)


def placeholders(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        start = line.find("[")
        while start >= 0 and (end := line.find("]", start)) >= 0:
            yield line[start : end + 1]
            start = line.find("[", end)


@instruction("detectable_content:postscript")
def postscript(text: str, postscript_marker: str) -> bool:
    """The two usual markers may have spaces between their letters, and the last stop of ``P.P.S``
    may be missing."""
    marker = postscript_marker.strip()
    usual = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}
    pattern = usual.get(marker, re.escape(marker.lower()))
    return re.search(pattern, text.lower()) is not None


@instruction("detectable_format:number_bullet_lists")
def number_bullet_lists(text: str, num_bullets: int) -> bool:
    """Bullets are lines that begin with ``-``, or with ``*`` and not ``**``."""
    # Written for the time it takes: an indent is on its line alone.
    stars = re.findall(r"^[^\S\n]*\*[^*].*$", text, re.MULTILINE)
    dashes = re.findall(r"^[^\S\n]*-", text, re.MULTILINE)
    return len(stars) + len(dashes) == num_bullets


@instruction("detectable_format:constrained_response")
def constrained_response(text: str) -> bool:
    options = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
    return any(option in text for option in options)


@instruction("detectable_format:number_highlighted_sections")
def number_highlighted_sections(text: str, num_highlights: int) -> bool:
    """Highlights are in asterisks, ``*so*`` or ``**so**``, on one line."""
    single = re.finditer(r"\*[^\n*]*\*", text)
    double = re.finditer(r"\*\*[^\n*]*\*\*", text)
    found = [match[0].strip("*").strip() for matches in (single, double) for match in matches]
    return sum(map(bool, found)) >= num_highlights


@instruction("detectable_format:multiple_sections")
def multiple_sections(text: str, section_spliter: str, num_sections: int) -> bool:
    """A section begins with a word and a number, e.g. ``Section 1``."""
    marks = re.finditer(rf"{re.escape(section_spliter.strip())}\s?\d+", text)
    return holds(marks, "at least", num_sections)


@instruction("detectable_format:json_format")
def json_format(text: str) -> bool:
    """All of the text is JSON, or JSON in a Markdown block of code."""
    text = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(fence)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


@instruction("detectable_format:title")
def title(text: str) -> bool:
    """A title is in double angular brackets on one line; whatever is in the outermost counts."""
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start < end - 2 and line[start : end + 2].lstrip("<").rstrip(">").strip():
            return True
    return False


@instruction("combination:two_responses")
def two_responses(text: str) -> bool:
    """Two different answers lie between ``******``; only the first and the last may be blank."""
    parts = [part.strip() for part in text.split("******")]
    answers = [part for part in parts if part]
    return all(parts[1:-1]) and len(answers) == 2 and answers[0] != answers[1]


@instruction("combination:repeat_prompt")
def repeat_prompt(text: str, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


@instruction("startend:end_checker")
def end_checker(text: str, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


@instruction("startend:quotation")
def quotation(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text.startswith('"') and text.endswith('"')


@instruction("change_case:capital_word_frequency")
def capital_word_frequency(text: str, capital_frequency: int, capital_relation: Relation) -> bool:
    capitals = (word for word in words(text) if word.isupper())
    return holds(capitals, capital_relation, capital_frequency)


@instruction("change_case:english_capital")
def english_capital(text: str) -> bool:
    return text.isupper() and is_language(text, "en")


@instruction("change_case:english_lowercase")
def english_lowercase(text: str) -> bool:
    return text.islower() and is_language(text, "en")


@instruction("punctuation:no_comma")
def no_comma(text: str) -> bool:
    return "," not in text

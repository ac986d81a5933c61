import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench.metrics import exact_match, same_text, squad_f1, squad_match

WORDS = st.lists(st.sampled_from("a an the cat dog Cat, слово 猫 12 .".split()), max_size=6)
TEXTS = WORDS.map(" ".join)


def slow_words(text: str) -> list[str]:
    """SQuAD's words, letter by letter."""
    kept = "".join(c for c in text.lower() if c not in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return [word for word in kept.split() if word not in ("a", "an", "the")]


def slow_f1(answer: str, reference: str) -> float:
    words, left = slow_words(answer), slow_words(reference)
    length, shared = len(left), 0
    for word in words:
        if word in left:
            left.remove(word)
            shared += 1
    if not shared:
        return 0.0
    precision, recall = shared / len(words), shared / length
    return 2 * precision * recall / (precision + recall)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
def test_f1_and_match_are_those_of_the_published_definition(
    answer: str, references: list[str]
) -> None:
    best = max(slow_f1(answer, each) for each in references)
    assert squad_f1(answer, references) == pytest.approx(best)
    same = any(slow_words(answer) == slow_words(each) for each in references)
    assert squad_match(answer, references) == same
    assert 0 <= squad_f1(answer, references) <= 1


@pytest.mark.parametrize(
    ("answer", "f1", "match"),
    [
        ("the Grey Cat!", 1, 1),
        ("grey", 2 / 3, 0),
        ("a grey cat sleeps here", 2 * 2 / 6, 0),
        ("grey grey", 2 * 1 / 4, 0),
        ("graycat", 0, 0),
        ("", 0, 0),
    ],
)
def test_f1_counts_shared_words(answer: str, f1: float, match: float) -> None:
    assert squad_f1(answer, ["grey cat"]) == pytest.approx(f1)
    assert squad_match(answer, ["grey cat"]) == match


def test_words_without_white_space_match_whole() -> None:
    assert squad_f1("灰色の猫", ["灰色の猫"]) == 1
    assert squad_f1("猫", ["灰色の猫"]) == 0


def test_an_article_is_a_word_of_its_own() -> None:
    assert squad_match("theatre", ["atre"]) == 0
    assert squad_match("the atre", ["atre"]) == 1


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("(B)", "b.", 1),
        ("-5", "5", 1),
        ("1.5", "15", 1),
        ("] ]", "> )", 1),
        ("] ]", "> ) ]", 0),
        ("a b", "a  b", 0),
        (" a", "a", 0),
        ("the cat", "cat", 0),
        ("«ж»", "ж", 0),
    ],
)
def test_same_text_is_deaf_to_punctuation_and_nothing_else(
    answer: str, reference: str, same: float
) -> None:
    assert same_text(answer, [reference]) == same
    assert same_text(answer, ["other", reference]) == same


@given(TEXTS, TEXTS)
def test_the_same_text_is_an_exact_match(answer: str, reference: str) -> None:
    assert same_text(answer, [reference]) <= exact_match(answer, [reference])


@pytest.mark.parametrize("piece", ["word ", "the ", "a", ".", "слово "])
def test_ten_million_characters_are_scored_in_seconds(piece: str) -> None:
    text = piece * (10**7 // len(piece))
    start = time.perf_counter()
    for metric in (squad_f1, squad_match, same_text):
        assert metric(text, ["reference"]) == 0
    assert time.perf_counter() - start < 60

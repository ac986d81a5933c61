import time

import pytest

from tests.toys.reviews import bracketed, classed, over_orders, scored


@pytest.mark.parametrize(
    ("review", "expected"),
    [
        ("A is clearer. [[A]]", 1.0),
        ("[[B]]", 0.0),
        ("Both say it. [[C]]\n", 0.5),
        ("Not [[B]] but [[A]]", 1.0),
        ("[A]", None),
        ("", None),
    ],
)
def test_brackets(review: str, expected: float | None) -> None:
    assert bracketed(review) == expected


@pytest.mark.parametrize(
    ("review", "expected"),
    [
        ("8 9\nThe second is better.", 0.0),
        ("9, 8", 1.0),
        ("\n 7.5 7.5 \nThe same.", 0.5),
        ("10 9.5", 1.0),
        ("8,9", 0.0),
        ("8.5", None),
        ("89", None),
        ("Scores: 8 9", None),
        ("8 9 7", None),
        ("٨ ٩", None),
        ("", None),
    ],
)
def test_two_scores(review: str, expected: float | None) -> None:
    assert scored(review) == expected


@pytest.mark.parametrize(
    ("review", "expected"),
    [
        ("The first.\n\n1", 1.0),
        ("2\n", 0.0),
        ("The same.\n 3 ", 0.5),
        ("I choose 3", None),
        ("1\nas I said", None),
        ("4", None),
        ("", None),
    ],
)
def test_a_class(review: str, expected: float | None) -> None:
    assert classed(review) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(1.0, 0.0, 1.0), (1.0, 1.0, 0.5), (0.0, 0.5, 0.25), (None, 1.0, None), (1.0, None, None)],
)
def test_both_orders(first: float | None, second: float | None, expected: float | None) -> None:
    assert over_orders(first, second) == expected


@pytest.mark.parametrize(
    "text", ["9" * 10_000_000, "9 " * 5_000_000, "[[" * 5_000_000, "\n" * 10**7]
)
def test_an_endless_review_takes_no_time(text: str) -> None:
    started = time.perf_counter()
    assert (bracketed(text), scored(text), classed(text)) == (None, None, None)
    assert time.perf_counter() - started < 5

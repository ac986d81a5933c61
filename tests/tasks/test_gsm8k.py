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
from benchbench_tasks.gsm8k import EXEMPLARS, GSM8K

FULL, OPEN_INSTRUCT, ZERO_SHOT = GSM8K.protocols.values()
SOLUTION = (
    "Two times 3 is 2*3=<<2*3=6>>6.\nOf 1,006 are left 1,006-6=<<1006-6=1000>>1,000.\n#### 1,000"
)
QUESTION = Sample(id="test/0", input="How many?", targets=("1000",))


def write(folder: Path, *records: Any, split: str = "test") -> Data:
    text = "".join(f"{json.dumps(record)}\n" for record in records)
    (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return Data(name="gsm8k", folder=folder, source="folder")


def record(**changes: Any) -> dict[str, Any]:
    return {"question": " How many? ", "answer": SOLUTION, **changes}


def score(completion: str, target: str = "1000") -> Mapping[str, float]:
    sample = Sample(id="", input="", targets=(target,))
    return GSM8K().score(sample, [GSM8K().extract(completion)])


def test_the_reference_is_the_number_at_the_end(tmp_path: Path) -> None:
    data = write(tmp_path, record(), record(answer="#### -7"), record(answer="x\n#### 2.50\n"))
    samples = list(GSM8K().samples("test", data))
    assert samples[0] == QUESTION
    assert [(s.id, s.targets) for s in samples[1:]] == [("test/1", ("-7",)), ("test/2", ("2.50",))]


def test_solutions_are_trained_on_without_the_calculators_notes(tmp_path: Path) -> None:
    (sample,) = GSM8K().samples("train", write(tmp_path, record(), split="train"))
    target = "Two times 3 is 2*3=6.\nOf 1,006 are left 1,006-6=1,000.\n#### 1,000"
    assert (sample.id, sample.targets) == ("train/0", (target,))
    assert score(target) == {"exact_match": 1.0, "same_number": 1.0}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"question": "x"}, "line 2 of .*test.jsonl has no key 'answer'"),
        (record(answer=6), "'answer' of line 2 of .*test.jsonl is 6; it must be a valid string"),
        (
            record(question=" "),
            "'question' of line 2 of .*test.jsonl is . .; it must be a text, not blank",
        ),
        (record(answer="It is 6."), "line 2 of .*: 'answer' does not end in '####' and a number"),
        (record(answer="Six.\n#### six"), "line 2 of .*: 'answer' does not end in '####'"),
        ([], r"line 2 of .*test.jsonl is \[\]; it must be an object"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, broken: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(GSM8K().samples("test", write(tmp_path, record(), broken)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train.jsonl does not exist; get the data set again"):
        list(GSM8K().samples("train", write(tmp_path, record())))


def prompt(protocol: Any) -> str:
    user, stem = GSM8K().prompt(QUESTION, protocol, lambda text: True)
    assert (user.role, stem.role, stem.content) == ("user", "assistant", "Answer:")
    return user.content


def test_the_prompt_of_open_instruct() -> None:
    text = prompt(FULL)
    assert prompt(OPEN_INSTRUCT) == text
    assert text.startswith(
        "Answer the following questions.\n\nQuestion: There are 15 trees in the grove. "
    )
    assert text.endswith(
        "Answer: Olivia had 23 dollars. 5 bagels for 3 dollars each will be 5 x 3 = 15 dollars. "
        "So she has 23 - 15 dollars left. 23 - 15 is 8. So the answer is 8.\n\nQuestion: How many?"
    )
    assert text.count("\n\nQuestion: ") == 9
    assert text.count("\nAnswer: ") == 8


def test_examples_are_right_by_our_own_score() -> None:
    for _, answer in EXEMPLARS:
        said = re.search(r"So the answer is (\d+)\.$", answer)
        assert said and score(answer, said[1]) == {"exact_match": 1.0, "same_number": 1.0}


def test_without_examples_the_instruction_is_of_one_question() -> None:
    assert prompt(ZERO_SHOT) == "Answer the following question.\n\nQuestion: How many?"


def test_the_protocols_are_as_open_instruct_runs_tuned_models() -> None:
    assert list(GSM8K.protocols) == ["full", "open-instruct", "zero-shot"]
    assert [protocol.shots for protocol in GSM8K.protocols.values()] == [8, 8, 0]
    for each in GSM8K.protocols.values():
        assert (each.form, each.max_prompt_tokens) == ("tulu", None)
        assert (each.generation.max_tokens, each.generation.temperature) == (512, 0.0)
        assert each.generation.stop == ()


def questions(count: int) -> list[Sample]:
    return [Sample(id=f"test/{i}", input="", targets=("1",)) for i in range(count)]


def test_open_instruct_draws_the_released_questions() -> None:
    # As run_eval.py: seed(42), then a sample of 200 of the 1,319 before anything else is drawn.
    random.seed(42)
    numbers = random.sample(range(1319), 200)
    samples = questions(1319)
    drawn = GSM8K().select(samples, OPEN_INSTRUCT)
    assert drawn == [samples[i] for i in numbers]
    assert numbers[:5] == [1309, 228, 51, 563, 501]
    assert GSM8K().select(samples, FULL) == samples
    assert GSM8K().select(samples[:200], OPEN_INSTRUCT) == samples[:200]


def test_a_limit_takes_a_part_of_what_the_protocol_runs() -> None:
    samples = questions(300)
    drawn = GSM8K().select(samples, OPEN_INSTRUCT)
    assert GSM8K(limit=7).select(samples, OPEN_INSTRUCT) == subset(drawn, 7)
    assert GSM8K(limit=7).select(samples, FULL) == subset(samples, 7)
    with pytest.raises(ValueError, match="limit is -1; it must be 0"):
        GSM8K(limit=-1)


@pytest.mark.parametrize(
    ("completion", "exact_match", "same_number"),
    [
        (" So the answer is 1,000.", 1, 1),
        ("It is $1000 a day", 1, 1),
        ("1000\n\nQuestion: And of 5?", 0, 0),
        ("#### 1000", 1, 1),
        ("It is 1000.0", 0, 1),  # released: 10000
        ("It is 100.0", 1, 0),  # released: 1000
        ("It is -1000.", 1, 0),  # released: 1000
        ("It is 2000-1000", 1, 1),
        ("It is \u0661\u0660\u0660\u0660", 0, 1),
        ("тысяча", 0, 0),
        ("", 0, 0),
    ],
)
def test_the_last_number_counts(completion: str, exact_match: float, same_number: float) -> None:
    assert score(completion) == {"exact_match": exact_match, "same_number": same_number}


def test_a_negative_reference_wants_its_sign_as_a_number() -> None:
    assert score("So -10.", "-10") == {"exact_match": 1.0, "same_number": 1.0}
    assert score("So 10.", "-10") == {"exact_match": 1.0, "same_number": 0.0}


def released(output: str, reference: str) -> bool:
    """As run_eval.py extracts, and as evaluate's exact_match compares for it."""
    numbers = re.findall(r"[-+]?\d*\.\d+|\d+", re.sub(r"(\d),(\d)", r"\1\2", output))
    texts = [numbers[-1] if numbers else output, reference]
    first, second = (
        "".join(c for c in text.lower() if c not in string.punctuation) for text in texts
    )
    return first == second


@given(st.text("019.,+-$# ", max_size=12), st.sampled_from(["10", "-10", "0.9", "1019"]))
def test_exact_match_is_the_released_one(completion: str, target: str) -> None:
    numbered = any(c.isdigit() for c in completion)
    assert score(completion, target)["exact_match"] == (
        released(completion, target) if numbered else 0
    )


@pytest.mark.parametrize(
    "text",
    [
        "9" * 10**7,
        "1," * 5 * 10**6,
        "+-." * 10**6,
        "0." + "1" * 10**7,
        "слово " * 10**6,
        "." * 10**7,
    ],
    ids=lambda text: text[:4],
)
def test_ten_million_characters_are_scored_in_seconds(text: str) -> None:
    start = time.perf_counter()
    assert score(text)["exact_match"] == 0
    assert time.perf_counter() - start < 60


def test_the_embedded_sample_is_read() -> None:
    assert GSM8K.embedded is not None
    data = Data(name="gsm8k", folder=GSM8K.embedded, source="sample")
    for split in ("train", "test"):
        samples = list(GSM8K().samples(split, data))
        assert len(samples) >= 24
        assert len({sample.input for sample in samples}) == len(samples)
        assert not any("<<" in sample.targets[0] for sample in samples)
    assert all(re.fullmatch(r"\d+", sample.targets[0]) for sample in samples)

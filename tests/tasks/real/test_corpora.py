"""Training corpora as published: row counts, and conversations that were made of them elsewhere.

Most files are parts of what was published; each is read under the published name of the whole.
"""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchbench import Sample, Task
from benchbench_tasks.flan import T0, FlanRationales
from benchbench_tasks.instructions import Alpaca, CodeAlpaca, Dolly, Gpt4Alpaca, SelfInstructSeeds
from benchbench_tasks.lima import Lima
from benchbench_tasks.oasst1 import Oasst1
from benchbench_tasks.sharegpt import Sharegpt
from tests.toys.corpora import read, turns

ROOT = Path(os.environ.get("BENCHBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FOLDER = ROOT / "instruct-mix"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no instruct-mix in {ROOT}; set BENCHBENCH_TEST_DATA to its root"
)

COT = {
    f"flan_cot/{name}_train.tsv.gz": f"{name}_train.tsv.gz"
    for name in ("aqua", "creak", "ecqa", "gsm8k", "qasc", "sensemaking", "strategyqa")
}
OASST1 = {
    "oasst1/oasst1_en-validation.jsonl.gz": "2023-04-12_oasst_ready.messages.jsonl.gz",
}
# What the sample of conversations calls it: task, files and their published names, samples.
CORPORA: dict[str, tuple[Task, dict[str, str], int]] = {
    "alpaca": (Alpaca(), {"alpaca/alpaca_5000.json": "alpaca_data.json"}, 5000),
    # LLaMA-Factory's example of the format, whoever answered.
    "alpaca_en": (Gpt4Alpaca(), {"alpaca/alpaca_en_demo.json": "alpaca_gpt4_data.json"}, 999),
    "code_alpaca": (
        CodeAlpaca(),
        {"code_alpaca/code_alpaca_2k.json": "code_alpaca_20k.json"},
        2017,
    ),
    # Of another version of the repository, with a key more.
    "new_code_alpaca": (
        CodeAlpaca(),
        {"code_alpaca/new_codealpaca.json.gz": "code_alpaca_20k.json.gz"},
        4535,
    ),
    "dolly": (
        Dolly(),
        {"dolly/dolly_first8000_no_category.jsonl.gz": "databricks-dolly-15k.jsonl.gz"},
        8000,
    ),
    # Passed on in the format of Alpaca, which keeps 1,029 of 1,030.
    "lima": (Lima(), {"lima/lima.json.gz": "lima.json.gz"}, 1029),
    "oasst1": (Oasst1(), OASST1, 683),  # of 2,022 messages
    "best of oasst1": (Oasst1(replies=1), OASST1, 123),
    "cot": (FlanRationales(), COT, 15_645),
    "t0": (T0(), {"t0_p3/t0_train_21templates.jsonl.gz": "all.jsonl.gz"}, 4008),
    "self_instruct_seed": (
        SelfInstructSeeds(),
        {"self_instruct/seed_tasks.jsonl": "seed_tasks.jsonl"},
        175,
    ),
    # FastChat's example of the format.
    "sharegpt_dummy": (
        Sharegpt(),
        {"sharegpt_format/dummy_conversation.json": "sharegpt_html_cleaned_and_split_2048.json"},
        500,
    ),
}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Sample]]:
    root = tmp_path_factory.mktemp("data")
    found = {}
    for name, (task, files, _) in CORPORA.items():
        (root / name).mkdir()
        for there, published in files.items():
            (root / name / published).symlink_to(FOLDER / there)
        found[name] = read(task, root / name)
    return found


@pytest.mark.parametrize("name", CORPORA)
def test_every_row_is_a_sample(name: str, corpora: Mapping[str, list[Sample]]) -> None:
    task, _, count = CORPORA[name]
    samples = corpora[name]
    assert len({sample.id for sample in samples}) == len(samples) == count
    for sample in samples:
        said = turns(task, sample)
        assert [role for role, _ in said] == ["user", "assistant"] * (len(said) // 2)
        assert all(content == content.strip() for _, content in said)
        assert said[0][1]


@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        ("lima", {2: 1000, 4: 15, 6: 10, 8: 3, 20: 1}),
        ("sharegpt_dummy", {2: 167, 4: 166, 6: 167}),
        ("oasst1", {2: 168, 4: 493, 6: 22}),
    ],
)
def test_turns_are_kept(
    name: str, lengths: dict[int, int], corpora: Mapping[str, list[Sample]]
) -> None:
    task = CORPORA[name][0]
    assert Counter(len(turns(task, sample)) for sample in corpora[name]) == lengths


def test_some_answers_are_empty_as_published(corpora: Mapping[str, list[Sample]]) -> None:
    empty = {
        name: sum(sample.targets == ("",) for sample in samples)
        for name, samples in corpora.items()
    }
    assert {k: v for k, v in empty.items() if v} == {"alpaca": 2, "code_alpaca": 2, "t0": 200}


def test_the_best_of_a_tree_are_some_of_its_ways(corpora: Mapping[str, list[Sample]]) -> None:
    best = {sample.id for sample in corpora["best of oasst1"]}
    assert best < {sample.id for sample in corpora["oasst1"]}


# 990 conversations that were made of rows of these files, in the form of open-instruct.


def converted() -> Iterator[tuple[str, str, list[str]]]:
    """Yield corpus, id within it and contents, stripped as ours are."""
    with gzip.open(FOLDER / "messages_sample.jsonl.gz", "rt", encoding="utf-8") as file:
        for record in map(json.loads, file):
            place = record["id"].rpartition("_")[2]
            name = record["dataset"]
            if name.startswith("cot_"):
                name, place = "cot", f"{name[4:]}_train/{place}"
            elif name.startswith("t0_"):
                name, place = "t0", f"all/{place}"
            elif name == "self_instruct_seed":
                place = f"{place}/0"
            yield name, place, [each["content"].strip() for each in record["messages"]]


def plain(task: Task, sample: Sample) -> list[str]:
    """Our conversation; where its prompt is drawn, the instruction and its input as they are."""
    if sample.targets:
        return [sample.input, sample.targets[0]]
    return [content for _, content in turns(task, sample)]


def test_conversations_are_those_made_elsewhere(corpora: Mapping[str, list[Sample]]) -> None:
    """922 of 990 are equal. The others are 39 of Dolly, where that conversion has the context
    first and Tülu the instruction, and 29 of OASST1, whose last answer was replied to: it ends a
    conversation there, and no sample of Tülu's."""
    equal: Counter[str] = Counter()
    others: list[tuple[str, str, list[str]]] = []
    ours = {
        (name, sample.id): plain(CORPORA[name][0], sample)
        for name, samples in corpora.items()
        for sample in samples
    }
    ways = [said for (name, _), said in ours.items() if name == "oasst1"]
    for name, place, said in converted():
        if said in ways if name == "oasst1" else said == ours[name, place]:
            equal[name] += 1
        else:
            others.append((name, place, said))
    assert equal == {
        "alpaca": 150,
        "code_alpaca": 120,
        "cot": 175,
        "dolly": 111,
        "lima": 80,
        "oasst1": 71,
        "self_instruct_seed": 100,
        "sharegpt_dummy": 20,
        "t0": 95,
    }
    assert Counter(name for name, _, _ in others) == {"dolly": 39, "oasst1": 29}
    dolly = {sample.id: sample for sample in corpora["dolly"]}
    answered = replied_to()
    for name, place, said in others:
        if name == "dolly":
            context, instruction = (dolly[place].context[k] for k in ("input", "instruction"))
            assert said == [f"{context}\n\n{instruction}", dolly[place].targets[0]]
        else:
            assert said[-1] in answered


def replied_to() -> set[str]:
    """The answers of OASST1 that somebody replied to."""
    (path,) = OASST1
    with gzip.open(FOLDER / path, "rt", encoding="utf-8") as file:
        rows: list[dict[str, Any]] = [json.loads(line) for line in file]
    parents = {row["parent_id"] for row in rows}
    return {
        row["text"].strip()
        for row in rows
        if row["role"] == "assistant" and row["message_id"] in parents
    }

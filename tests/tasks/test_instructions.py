from collections import Counter
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from benchbench.data.find import digest_samples, find_data
from benchbench.errors import DataError
from benchbench_tasks import instructions
from benchbench_tasks.instructions import (
    ABOUT_AN_INPUT,
    ALONE,
    Alpaca,
    Dolly,
    Instructions,
    SelfInstruct,
    SelfInstructSeeds,
)
from tests.toys.corpora import read, turns, write

TASKS: list[type[Instructions]] = instructions.register_tasks()  # type: ignore[assignment]
LISTS = [task for task in TASKS if task is not SelfInstructSeeds]
by_name = pytest.mark.parametrize("task", LISTS, ids=lambda task: task.name)


def keys(task: type[Instructions]) -> list[str]:
    return [task.keys.get(name, name) for name in ("instruction", "input", "output")]


def row(task: type[Instructions], *values: str) -> dict[str, str]:
    return dict(zip(keys(task), values, strict=True))


@by_name
@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_every_corpus_is_read_from_its_published_file(
    task: type[Instructions], zipped: str, tmp_path: Path
) -> None:
    rows = [row(task, "Say it", "", "It"), row(task, " Add ", "1, 2 ", " 3\n")]
    write(tmp_path, f"{task.file}{zipped}", rows)
    first, second = read(task(), tmp_path)
    assert (first.id, first.input, first.targets) == ("0", "Say it", ("It",))
    assert (second.id, second.input, second.targets) == ("1", "Add\n\n1, 2", ("3",))


def test_keys_beyond_those_learned_do_not_matter(tmp_path: Path) -> None:
    more = {"instruction": "a", "context": "b", "response": "c", "category": "open_qa"}
    write(tmp_path, Dolly.file, [more])
    assert [s.input for s in read(Dolly(), tmp_path)] == ["a\n\nb"]


def test_seeds_are_one_sample_an_instance(tmp_path: Path) -> None:
    instances = [{"input": "", "output": "x"}, {"input": "y", "output": "z"}]
    seeds = [{"id": "seed_task_7", "instruction": "Say", "instances": instances}]
    write(tmp_path, SelfInstructSeeds.file, seeds)
    samples = read(SelfInstructSeeds(), tmp_path)
    assert [(s.id, s.input, s.targets) for s in samples] == [
        ("0/0", "Say", ("x",)),
        ("0/1", "Say\n\ny", ("z",)),
    ]


def sampled(task: Instructions, folder: Path, about: str) -> Counter[str]:
    write(folder, task.file, [row(type(task), "DO {this}", about, "done")])
    (sample,) = read(task, folder)
    prompts: Counter[str] = Counter()
    for seed in range(4000):
        (asks, prompt), (answers, answer) = turns(task, sample, seed)
        assert (asks, answers, answer) == ("user", "assistant", "done")
        prompts[prompt] += 1
    return prompts


@pytest.mark.parametrize(("about", "prompts"), [("{x} and y", ABOUT_AN_INPUT), ("", ALONE)])
def test_prompts_are_drawn_by_weight(about: str, prompts: dict[str, int], tmp_path: Path) -> None:
    drawn = sampled(Alpaca(), tmp_path, about)
    expected = {p.format(instruction="DO {this}", input=about): n / 20 for p, n in prompts.items()}
    assert drawn.keys() == expected.keys()
    for prompt, share in expected.items():
        assert drawn[prompt] / 4000 == pytest.approx(share, abs=0.025)


@pytest.mark.parametrize(
    ("prompts", "fields"), [(ABOUT_AN_INPUT, {"instruction", "input"}), (ALONE, {"instruction"})]
)
def test_every_prompt_shows_all_there_is(prompts: dict[str, int], fields: set[str]) -> None:
    assert sum(prompts.values()) == 20
    for prompt in prompts:
        assert {name for _, name, _, _ in Formatter().parse(prompt) if name} == fields
        assert prompt == prompt.strip()


def test_a_prompt_is_the_same_for_the_same_draw(tmp_path: Path) -> None:
    write(tmp_path, Alpaca.file, [row(Alpaca, "Say it", "x", "It")])
    (sample,) = read(Alpaca(), tmp_path)
    assert turns(Alpaca(), sample, 3) == turns(Alpaca(), sample, 3)


@by_name
def test_other_scripts_and_what_is_empty_are_kept(task: type[Instructions], tmp_path: Path) -> None:
    write(tmp_path, task.file, [row(task, "вход", "猫\u2028犬", "جواب"), row(task, "", "", "")])
    first, second = read(task(), tmp_path)
    assert (first.input, first.targets) == ("вход\n\n猫\u2028犬", ("جواب",))
    assert (second.input, second.targets) == ("", ("",))
    assert turns(task(), second)[1] == ("assistant", "")
    assert len(digest_samples([first, second])) == 64


@by_name
def test_a_long_answer_is_read_whole(task: type[Instructions], tmp_path: Path) -> None:
    write(tmp_path, task.file, [row(task, "Say", "", "long " * 2_000_000)])
    (sample,) = read(task(), tmp_path)
    assert len(turns(task(), sample)[1][1]) == len("long " * 2_000_000) - 1


@by_name
def test_a_missing_file_is_named(task: type[Instructions], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{task.file} does not exist"):
        read(task(), tmp_path)


@by_name
@pytest.mark.parametrize("key", range(3))
def test_a_missing_or_wrong_key_is_named(
    task: type[Instructions], key: int, tmp_path: Path
) -> None:
    good = row(task, "a", "b", "c")
    name = keys(task)[key]
    write(tmp_path, task.file, [good, {k: v for k, v in good.items() if k != name}])
    where = r"line 2 of .*" if task.file.endswith("jsonl") else r"\[1\] of .*"
    with pytest.raises(DataError, match=rf"{where}{task.file} has no key '{name}'"):
        read(task(), tmp_path)
    write(tmp_path, task.file, [good, {**good, name: ["b"]}])
    with pytest.raises(DataError, match=rf"'{name}' of {where}{task.file} is \[.b.\]; it must be"):
        read(task(), tmp_path)


@by_name
def test_half_a_surrogate_pair_is_refused(task: type[Instructions], tmp_path: Path) -> None:
    write(tmp_path, task.file, [])
    text = '{"instruction": "a", "input": "\\ud800", "context": "\\ud800", "output": "c"}'
    (tmp_path / task.file).write_text(text if "jsonl" in task.file else f"[{text}]")
    with pytest.raises(DataError, match=f"{task.file} is not valid JSON"):
        read(task(), tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"alpaca_data.json is \[\]; it must be a list of one or more"),
        ({"instruction": "a"}, "alpaca_data.json is {.*}; it must be a valid array"),
        (["a"], r"\[0\] of .*alpaca_data.json is .a.; it must be an object"),
    ],
)
def test_what_is_no_list_of_instructions_is_refused(
    rows: Any, message: str, tmp_path: Path
) -> None:
    write(tmp_path, Alpaca.file, rows)
    with pytest.raises(DataError, match=message):
        read(Alpaca(), tmp_path)


def test_an_empty_file_of_lines_is_refused(tmp_path: Path) -> None:
    write(tmp_path, SelfInstruct.file, [])
    with pytest.raises(DataError, match=f"{SelfInstruct.file} is empty"):
        read(SelfInstruct(), tmp_path)


def test_a_seed_without_instances_is_refused(tmp_path: Path) -> None:
    write(tmp_path, SelfInstructSeeds.file, [{"instruction": "a", "instances": []}])
    with pytest.raises(DataError, match=r"'instances' of line 1 of .* is \[\]; it must be a list"):
        read(SelfInstructSeeds(), tmp_path)


def test_the_embedded_sample_is_of_the_published_format() -> None:
    samples = read(Alpaca(), find_data(Alpaca(), None).folder)
    assert len({s.id for s in samples}) == len(samples) == 24
    assert {bool(s.context["input"]) for s in samples} == {True, False}
    assert all(s.input and s.targets[0] for s in samples)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_nothing_is_tested_on(task: type[Instructions]) -> None:
    assert (task.splits, task.family, list(task.protocols)) == (("train",), "training", ["tulu"])
    protocol = task.protocols["tulu"]
    assert protocol.form == "tulu"
    assert protocol.max_example_tokens == 2048
    assert "{folder}" in task.how_to_get
    assert task.file in task.how_to_get

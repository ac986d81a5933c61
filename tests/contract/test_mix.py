from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import benchbench_tasks
from benchbench import Sample, TaskSpec
from benchbench.contract.mix import Component, Mix, read_mix
from benchbench.errors import BenchbenchError, DataError
from benchbench.plan.samples import draw
from benchbench.registry.registry import Registry
from benchbench.specs import canonical

TEXT = """
summary = "Two toys."
seed = 7

[components]
echo = 3
"other@loud:samples_each=2" = "all"
"""


def write(folder: Path, text: str = TEXT) -> Path:
    path = folder / "toys.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_mix_is_read(tmp_path: Path) -> None:
    assert read_mix(write(tmp_path)) == Mix(
        name="toys",
        seed=7,
        summary="Two toys.",
        components=(
            Component(label="echo", task=TaskSpec(name="echo"), count=3),
            Component(
                label="other@loud:samples_each=2",
                task=TaskSpec(name="other", protocol="loud", params={"samples_each": "2"}),
                count="all",
            ),
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 7", "", "lacks 'seed': a whole number"),
        ("seed = 7", 'seed = "7"', "'seed' .* is '7'; it must be a whole number"),
        ("seed = 7", "seed = true", "'seed' .* is True; it must be a whole number"),
        ("seed = 7", "seed = 7\nsede = 8", "unknown key 'sede'; it may have: summary, seed"),
        ('"Two toys."', "2", "'summary' .* is 2; it must be a text"),
        ("echo = 3", "echo = 0", "'echo' of the components .* is 0; it must be how many"),
        ("echo = 3", "echo = true", "'echo' of the components .* is True; it must be how many"),
        ("echo = 3", "echo = 0.5", "'echo' of the components .* is 0.5; it must be how many"),
        ("echo = 3", 'echo = "most"', "'echo' of the components .* is 'most'; it must be how many"),
        ("echo = 3", "echo = 3\necho = 4", "not valid TOML"),
        ("[components]", "[component]", "lacks 'components'"),
    ],
)
def test_mistakes_name_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(DataError, match=message) as error:
        read_mix(write(tmp_path, TEXT.replace(old, new)))
    assert "toys.toml" in str(error.value)


def test_a_mix_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'components' .* is {}; it must be a"):
        read_mix(write(tmp_path, "seed = 1\n[components]\n"))


def test_a_component_that_is_no_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchbenchError, match="cannot read 'x' in 'echo:x'"):
        read_mix(write(tmp_path, TEXT.replace("echo =", '"echo:x" =')))


@pytest.mark.parametrize("name", ["none.toml", ""])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot read .*; a mix is a TOML file"):
        read_mix(tmp_path / name)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "toys.toml"
    path.write_bytes(b"seed = 1 # \xff")
    with pytest.raises(DataError, match=r"toys.toml.* is not valid TOML"):
        read_mix(path)


def test_a_mix_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(DataError, match=r"cannot read 'stock\.toml'"):
        read_mix(Path("stock.toml"))


def test_the_spec_of_a_mix_says_all_that_its_samples_depend_on(tmp_path: Path) -> None:
    def spec(text: str, *tasks: TaskSpec) -> str:
        return canonical(read_mix(write(tmp_path, text)).spec(tasks))

    one, two = TaskSpec(name="echo", protocol="say", version=1), TaskSpec(name="other", version=1)
    same = spec(TEXT, one, two)
    assert same == spec(TEXT.replace("Two toys", "More"), one, two)
    changed = {
        spec(TEXT.replace("seed = 7", "seed = 8"), one, two),
        spec(TEXT.replace("echo = 3", "echo = 4"), one, two),
        spec(TEXT.replace("echo = 3", 'echo = "all"'), one, two),
        spec(TEXT, replace(one, version=2), two),
        spec(TEXT, one, replace(two, params={"samples_each": 1})),
    }
    assert len(changed - {same}) == 5


def samples(count: int, word: str = "word") -> list[Sample]:
    return [Sample(id=str(i), input=f"{word} {i}", targets=(f"{i}",)) for i in range(count)]


def mix(*counts: int | str, seed: int = 1) -> Mix:
    names = "abcdef"
    return Mix(
        name="toys",
        seed=seed,
        components=tuple(
            Component(label=name, task=TaskSpec(name=name), count=count)  # type: ignore[arg-type]
            for name, count in zip(names, counts, strict=False)
        ),
    )


def ids(drawn: list[tuple[int, Sample]]) -> list[str]:
    return [sample.id for _, sample in drawn]


def test_each_component_gives_its_count() -> None:
    drawn = draw(mix(3, "all", 1), [samples(9), samples(4), samples(1)])
    assert sorted(component for component, _ in drawn) == [0, 0, 0, 1, 1, 1, 1, 2]
    assert all(sample.id.startswith(f"{'abc'[component]}/") for component, sample in drawn)
    assert len(set(ids(drawn))) == len(drawn)


def test_a_drawn_sample_is_its_component_s_but_for_its_id() -> None:
    for component, sample in draw(mix("all", "all"), [samples(3, "one"), samples(3, "two")]):
        word = ("one", "two")[component]
        number = sample.id.partition("/")[2]
        assert sample.input == f"{word} {number}"
        assert sample.targets == (number,)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(), st.randoms())
def test_a_smaller_count_takes_a_part_of_a_larger(
    first: int, second: int, seed: int, random: object
) -> None:
    smaller, larger = sorted((first, second))
    few = ids(draw(mix(smaller, 2, seed=seed), [samples(30), samples(5)]))
    shuffled = samples(30)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    many = ids(draw(mix(larger, seed=seed), [shuffled]))
    few_of_a = [each for each in few if each.startswith("a/")]
    # The same, in the same order, whatever else the mix has and however the samples came.
    assert few_of_a == [each for each in many if each in few_of_a]
    assert len(few_of_a) == smaller


def test_the_seed_draws_samples_and_order() -> None:
    def drawn(seed: int, count: int | str) -> list[str]:
        return ids(draw(mix(count, seed=seed), [samples(100)]))

    assert drawn(1, 10) == drawn(1, 10)
    assert set(drawn(1, 10)) != set(drawn(2, 10))
    assert drawn(1, "all") != drawn(2, "all")
    assert set(drawn(1, "all")) == set(drawn(2, "all"))


def test_components_are_spread_over_the_order() -> None:
    drawn = draw(mix(100, "all"), [samples(10_000), samples(100)])
    early = sum(component == 0 for component, _ in drawn[:100])
    assert 30 < early < 70  # 50 and 5 standard deviations of 3.5, rounded outward


def test_too_few_samples_are_an_error_with_both_numbers() -> None:
    with pytest.raises(DataError, match=r"'toys' takes 2,000 samples of 'b', which has 1,999"):
        draw(mix(1, 2000), [samples(1), samples(1999)])


def stock_mixes() -> list[Path]:
    return sorted((Path(benchbench_tasks.__file__).parent / "mixes").glob("*.toml"))


@pytest.mark.parametrize("path", stock_mixes(), ids=lambda path: path.stem)
def test_stock_mixes_are_of_registered_tasks(path: Path) -> None:
    mix = read_mix(path)
    assert mix.summary.endswith(".")
    registry = Registry.load()
    tasks = [registry.task(registry.resolve_task(each.task)) for each in mix.components]
    assert all("train" in task.splits for task in tasks)


def test_tulu_v1_has_the_counts_of_its_paper() -> None:
    (path,) = (each for each in stock_mixes() if each.stem == "tulu-v1")
    counts = {each.label: each.count for each in read_mix(path).components}
    chains = counts.pop("cot:examples=without"), counts.pop("cot:examples=with")
    assert chains == (50_000, 50_000)
    assert counts == {
        "flan-v2": 100_000,
        "dolly": 15_011,
        "oasst1": 34_795,
        "gpt4-alpaca": 52_002,
        "code-alpaca": 20_022,
        "sharegpt": 168_864,
    }

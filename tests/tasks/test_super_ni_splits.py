"""Subsets of the training tasks, and what is held out from them."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchbench import Data, TaskSpec
from benchbench.errors import BadParameter, DataError
from benchbench.plan.plan import Grid, make_plan
from benchbench.registry.registry import Registry
from benchbench.specs import MethodSpec
from benchbench_tasks.super_ni import SuperNI
from tests.toys.super_ni import toy, write

TASKS = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    tasks = {f"t{n:02}_train": toy((3, 150, 250)[n % 3]) for n in range(TASKS)}
    return write(tmp_path_factory.mktemp("data"), unseen=toy(), **tasks)


def tasks_of(task: SuperNI, split: str, data: Data) -> list[str]:
    return list(dict.fromkeys(sample.groups["task"] for sample in task.samples(split, data)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.integers(1, 15), st.integers(0, 5))
def test_a_smaller_subset_is_a_part_of_a_larger_and_validation_stays(
    data: Data, few: int, held_out: int
) -> None:
    small, large = (
        SuperNI(train_tasks=n, validation_tasks=held_out, train_instances=1)
        for n in (few, TASKS - 5)
    )
    first, second = tasks_of(small, "train", data), tasks_of(large, "train", data)
    assert len(first) == few and set(first) <= set(second)
    assert first == sorted(first), "the order is the file's"
    validation = tasks_of(small, "validation", data)
    assert validation == tasks_of(large, "validation", data)
    assert len(validation) == held_out
    assert not set(validation) & set(second)


def test_all_that_validation_leaves_is_the_default(data: Data) -> None:
    assert len(tasks_of(SuperNI(validation_tasks=3), "train", data)) == TASKS - 3
    assert list(SuperNI().samples("validation", data)) == []


def test_a_subset_does_not_depend_on_the_order_of_the_file(data: Data, tmp_path: Path) -> None:
    names = [f"t{n:02}_train" for n in range(TASKS)]
    other = write(tmp_path, **{name: toy() for name in reversed(names)})
    task = SuperNI(train_tasks=7, validation_tasks=2)
    assert set(tasks_of(task, "train", other)) == set(tasks_of(task, "train", data))


def test_held_out_instances_are_never_trained_on(data: Data) -> None:
    task = SuperNI(train_tasks=9)
    trained = {sample.id for sample in task.samples("train", data)}
    held_out = {sample.id for sample in task.samples("in-task", data)}
    assert held_out and not trained & held_out
    of = {name: [i for i in held_out if i.startswith(f"{name}/")] for name in {
        sample.groups["task"] for sample in task.samples("train", data)
    }}  # fmt: skip
    # 250 instances: the study's other half; 150: what is left of them; 3: none.
    assert {len(ids) for ids in of.values()} == {0, 50, 100}
    same = {sample.id for sample in task.samples("trained", data)}
    assert same == trained


def test_fewer_training_instances_hold_out_the_same_and_more_of_small_tasks(data: Data) -> None:
    task = SuperNI(train_instances=2)
    more, held_out = (
        [sample.id for sample in each.samples("in-task", data)] for each in (task, SuperNI())
    )
    assert set(held_out) < set(more)
    assert {len([i for i in more if i.startswith(f"t0{n}_")]) for n in range(3)} == {1, 50, 100}


def test_instances_cap_what_is_evaluated_of_each_task(data: Data) -> None:
    task = SuperNI(instances=2, validation_tasks=3, validation_instances=1)
    assert len(list(task.samples("trained", data))) == 2 * (TASKS - 3)
    assert len(list(task.samples("validation", data))) == 3


def test_more_tasks_than_there_are_is_one_sentence(data: Data) -> None:
    with pytest.raises(DataError, match=r"20 tasks, of which validation_tasks=5 leaves 15 and"):
        list(SuperNI(train_tasks=16, validation_tasks=5).samples("train", data))
    with pytest.raises(DataError, match="choose fewer"):
        list(SuperNI(validation_tasks=TASKS).samples("train", data))


@pytest.mark.parametrize("name", ["train_tasks", "validation_tasks"])
def test_negative_numbers_of_tasks_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is -1; it must be 0 or more"):
        SuperNI(**{name: -1})


def test_seen_tasks_are_asked_for_by_the_split_s_name(tiny_model: Path, data: Data) -> None:
    plan = make_plan(
        Grid(
            model=str(tiny_model),
            methods=(MethodSpec(name="lora"),),
            tasks=tuple(
                TaskSpec.parse(f"super-ni{text}")
                for text in ("", ":in-task", ":trained,instances=2")
            ),
            train_on="super-ni:train_tasks=4,validation_tasks=2",
        ),
        Registry.load(),
        _root(data),
        "float32",
    )
    assert [split.spec.label for split in plan.tests] == [
        "super-ni@definition", "super-ni@definition:in-task", "super-ni@definition:trained"
    ]  # fmt: skip
    assert [TaskSpec.parse(split.spec.label).split for split in plan.tests] == [
        "test", "in-task", "trained"
    ]  # fmt: skip
    train = plan.runs[-1].spec.train
    assert train and train.validation and plan.training and plan.training.validation
    assert train.task.split == "train"
    held_out = {sample.groups["task"] for sample in plan.training.validation.samples}
    assert train.validation.groups == tuple(sorted(held_out))
    assert train.validation.metric == "rouge_l"
    unseen, seen, trained = ({s.groups["task"] for s in test.samples} for test in plan.tests)
    assert plan.tests[0].spec.params["train_tasks"] == 0
    assert trained == {sample.groups["task"] for _, sample in plan.training.samples}
    assert seen <= trained and not unseen & trained
    assert len(plan.tests[2].samples) == 2 * 4


def test_seen_tasks_are_those_that_are_trained_on(tiny_model: Path, data: Data) -> None:
    for train_on in ("alpaca", "tulu-v1"):
        grid = Grid(
            model=str(tiny_model),
            methods=(MethodSpec(name="lora"),),
            tasks=(TaskSpec.parse("super-ni:trained"),),
            train_on=train_on,
        )
        with pytest.raises(BadParameter, match=f"which is {train_on} here; train on super-ni"):
            make_plan(grid, Registry.load(), _root(data), "float32")


def _root(data: Data) -> Path:
    """Return a data root that holds a data set."""
    root = data.folder.parent / "root"
    root.mkdir(exist_ok=True)
    if not (root / "super-ni").exists():
        (root / "super-ni").symlink_to(data.folder)
    return root

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from benchbench import Data, MethodSpec, Sample, Task, TaskSpec
from benchbench.data.find import digest_samples
from benchbench.errors import BadParameter, DataError, ModelError, UnknownName
from benchbench.plan.plan import Grid, Plan, make_plan
from benchbench.plan.samples import read_split
from benchbench.registry.registry import Registry
from benchbench.specs import Split
from tests import toys
from tests.toys.tasks import Corpus, Judged, Ranked, Toy

GRID = Grid(
    model="toy",
    methods=(MethodSpec(name="part"), MethodSpec(name="whole")),
    tasks=(TaskSpec(name="echo"),),
    seeds=(1, 2, 3),
)


def plan(grid: Grid, model: Path) -> Plan:
    found = toys.registry(model, (Toy, Ranked, Judged, Corpus, Unseen))
    return make_plan(grid, found, None, "float32")


class Unseen(Toy):
    """Never trained on."""

    name = "unseen"
    splits = ("test",)


def test_the_untuned_model_comes_first_and_once(tiny_model: Path) -> None:
    runs = [run.spec for run in plan(GRID, tiny_model).runs]
    assert [(r.method.name, r.seed) for r in runs] == [
        ("untuned", 0),
        *(("part", seed) for seed in (1, 2, 3)),
        *(("whole", seed) for seed in (1, 2, 3)),
    ]
    assert runs[0].train is None


def test_every_default_is_filled_in(tiny_model: Path) -> None:
    run = plan(GRID, tiny_model).runs[1].spec
    assert run.method.params == {"learning_rate": 1e-3, "size": 2}
    assert run.train is not None
    assert run.train.task == TaskSpec(
        name="echo", protocol="say", split="train", version=1, params={"samples_each": 3}
    )
    assert run.model.revision.startswith("sha256:")


def test_naming_the_base_or_a_method_twice_changes_nothing(tiny_model: Path) -> None:
    methods = (MethodSpec(name="untuned"), *GRID.methods, *GRID.methods)
    assert plan(replace(GRID, methods=methods), tiny_model).runs == plan(GRID, tiny_model).runs


def test_the_test_protocol_does_not_change_the_runs_but_the_training_protocol_does(
    tiny_model: Path,
) -> None:
    loud = TaskSpec(name="echo", protocol="loud")
    first = plan(GRID, tiny_model)
    same = plan(replace(GRID, tasks=(TaskSpec(name="echo"), loud)), tiny_model)
    other = plan(replace(GRID, train_on="echo@loud"), tiny_model)
    assert [r.id for r in first.runs] == [r.id for r in same.runs]
    assert first.runs[0].id == other.runs[0].id  # the untuned model knows no training
    assert not {r.id for r in first.runs[1:]} & {r.id for r in other.runs[1:]}


def test_what_only_evaluation_heeds_does_not_change_the_runs(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toys.Echo, "evaluation_only", ("samples_each",))
    more = replace(GRID, tasks=(TaskSpec(name="echo", params={"samples_each": 2}),))
    first, other = plan(GRID, tiny_model), plan(more, tiny_model)
    assert first.runs[1].spec.train and other.runs[1].spec.train
    assert first.runs[1].spec.train.task == other.runs[1].spec.train.task
    assert first.tests[0].spec != other.tests[0].spec


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_stock_task_heeds_what_is_the_other_split_s(split: Split) -> None:
    registry = Registry.load()
    for name, cls in registry.tasks.items():
        if split not in cls.splits or cls.embedded is None:
            continue
        resolved = registry.resolve_task(TaskSpec(name=name, split=split))
        for key in cls.evaluation_only if split == "train" else cls.training_only:
            changed = replace(resolved, params={**resolved.params, key: 1})
            first, second = (read_split(registry, spec, None) for spec in (resolved, changed))
            assert first.samples == second.samples
            assert first.data == second.data


def test_what_a_split_does_not_heed_is_at_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(toys.Echo, "training_only", ("samples_each",))
    spec = TaskSpec(name="echo", params={"samples_each": 2})
    tested = toys.registry().resolve_task(spec)
    trained = toys.registry().resolve_task(replace(spec, split="train"))
    assert tested == toys.registry().resolve_task(TaskSpec(name="echo"))
    assert trained.params["samples_each"] == 2


def test_training_settings_are_typed(tiny_model: Path) -> None:
    changed = plan(replace(GRID, train={"epochs": "2", "batch_size": "8"}), tiny_model).runs[1].spec
    assert changed.train is not None
    assert (changed.train.epochs, changed.train.batch_size) == (2.0, 8)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"methods": (MethodSpec(name="prat"),)}, UnknownName, "did you mean 'part'"),
        ({"tasks": (TaskSpec(name="ecko"),)}, UnknownName, "did you mean 'echo'"),
        ({"model": "tyo"}, ModelError, "tyo"),
        ({"train": {"epoch": "1"}}, BadParameter, "no setting epoch; it has: profile, epochs"),
        ({"train": {"epochs": "many"}}, BadParameter, "epochs is 'many'; it must be float"),
        ({"train": {"batch_size": "0"}}, BadParameter, "batch_size is 0"),
        ({"tasks": (TaskSpec(name="corpus"),)}, BadParameter, "no test split, only train; name"),
        ({"tasks": (TaskSpec(name="unseen"),)}, BadParameter, "unseen cannot be trained on"),
        ({"train_on": "unseen"}, BadParameter, "no train split, only test; name"),
        ({"tasks": (TaskSpec(name="toys"),)}, UnknownName, "did you mean 'toy'"),
        ({"tasks": (TaskSpec(name="toy", protocol="x"),)}, BadParameter, "no protocol 'x'"),
    ],
)
def test_mistakes_are_one_sentence(
    changes: dict[str, object], error: type[Exception], message: str, tiny_model: Path
) -> None:
    with pytest.raises(error, match=message):
        plan(replace(GRID, **changes), tiny_model)  # type: ignore[arg-type]


def test_a_family_stands_for_its_tasks_that_can_be_tested_on(tiny_model: Path) -> None:
    class Kin(Toy):
        name = "kin"
        family = "kinship"

    class Cousin(Kin):
        name = "cousin"
        splits = ("test",)

    class Ancestor(Kin):
        name = "ancestor"
        splits = ("train",)

    found = toys.registry(tiny_model, (Kin, Cousin, Ancestor))
    family = replace(GRID, tasks=(TaskSpec(name="kinship", protocol="say"), TaskSpec(name="kin")))
    made = make_plan(family, found, None, "float32")
    assert [split.spec.label for split in made.tests] == ["cousin@say", "kin@say"]
    # Not the first of them, which cannot be trained on.
    assert made.training.spec.name == "kin"


def test_a_protocol_selects_the_test_samples_and_no_training_samples(tiny_model: Path) -> None:
    made = plan(replace(GRID, tasks=(TaskSpec(name="toy"),)), tiny_model)
    assert made.training is not None
    assert [len(split.samples) for split in (*made.tests, made.training)] == [2, 3]
    assert made.tests[0].data.digest != made.training.data.digest


def test_samples_lack_nothing_that_their_task_scores(tiny_model: Path) -> None:
    def lacking(**changes: object) -> type[Task]:
        class Lacking(Toy):
            name = "lacking"
            ranked = bool(changes.pop("ranked", False))
            judged = bool(changes.pop("judged", False))

            def samples(self, split: str, data: Data) -> Iterable[Sample]:
                for sample in Toy().samples(split, data):
                    yield replace(sample, **changes)  # type: ignore[arg-type]

            def score_choices(self, *_: object) -> dict[str, float]:
                return {}

        return Lacking

    grid = replace(GRID, tasks=(TaskSpec(name="lacking"),))
    for bad in (lacking(targets=()), lacking(ranked=True, choices=(" one",))):
        with pytest.raises(DataError, match="'sample 0' of task 'lacking' has no reference"):
            make_plan(grid, toys.registry(tiny_model, (bad,)), None, "float32")
    good = lacking(targets=(), judged=True)
    assert make_plan(grid, toys.registry(tiny_model, (good,)), None, "float32").tests


def test_choices_are_part_of_the_data(tiny_model: Path) -> None:
    samples = list(Toy().samples("test", Data(name="", folder=Path(), source="sample")))
    without = [replace(sample, choices=()) for sample in samples]
    assert digest_samples(samples) != digest_samples(without)


def test_a_mix_is_trained_on_like_a_task(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "both.toml"
    path.write_text('seed = 1\n[components]\necho = 4\n"toy@say" = "all"\n')
    grid = replace(GRID, train_on=str(path))
    found = toys.registry(tiny_model, (Toy,))
    made = make_plan(grid, found, None, "float32")
    assert {
        (split.spec.name, sample.id.split("/")[0]) for split, sample in made.training.samples
    } == {
        ("echo", "echo"),
        ("toy", "toy@say"),
    }
    assert len(made.training.samples) == 4 + 3
    assert made.training.spec.name == "both"
    again = make_plan(grid, found, None, "float32")
    assert [run.id for run in made.runs] == [run.id for run in again.runs]
    path.write_text('seed = 2\n[components]\necho = 4\n"toy@say" = "all"\n')
    other = make_plan(grid, found, None, "float32")
    assert other.runs[1].id != made.runs[1].id
    path.write_text("seed = 1\n[components]\necho = 7\n")
    with pytest.raises(DataError, match="7 samples of 'echo', which has 6"):
        make_plan(grid, found, None, "float32")


def test_a_component_that_cannot_be_trained_on_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("seed = 1\n[components]\nunseen = 1\n")
    with pytest.raises(DataError, match=r"component 'unseen' of mix 'bad': .*no train split"):
        plan(replace(GRID, train_on=str(path)), tiny_model)


def test_where_nothing_is_trained_nothing_is_trained_on(tiny_model: Path) -> None:
    untuned = replace(GRID, methods=(MethodSpec(name="untuned"),), tasks=(TaskSpec(name="unseen"),))
    made = plan(untuned, tiny_model)
    assert made.training is None
    assert [run.spec.train for run in made.runs] == [None]

"""Pushing a run to the hub, which is a small server on this machine."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from benchbench.errors import BadParameter, BenchbenchError, StoreError
from benchbench.publish.push import Target, find_run, gather, push
from benchbench.records.record import Artefact, RunRecord
from benchbench.records.store import Store, hash_folder
from tests.cli.test_cli import Command, command
from tests.toys import result, run_record
from tests.toys.repositories import READER, TOKEN, ToyRepositories, serve

__all__ = ["command"]

WEIGHTS = save({"a": np.ones(3, np.float32)})
ADAPTER = {
    "adapter_model.safetensors": WEIGHTS,
    "adapter_config.json": b'{"peft_type": "LORA", "task_type": "CAUSAL_LM"}',
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyRepositories]:
    with serve(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a trained run and the base and the reference beside it, all evaluated."""
    found = Store(tmp_path / "runs")
    for method in ("untuned", "whole", "part"):
        add(found, method)
    return found


def add(store: Store, method: str, seed: int = 1, route: str = "lora", **changes: Any) -> RunRecord:
    """Write a run with its checkpoint, the files that must stay here, and a result."""
    record = run_record(method, seed, **changes)
    folder = store.run_folder(record.run_id)
    artefact = Artefact(route="base", sha256="0", bytes=0)
    if method != "untuned":
        (folder / "checkpoint").mkdir(parents=True)
        for name, content in ADAPTER.items():
            (folder / "checkpoint" / name).write_bytes(content)
        (folder / "work").mkdir()
        (folder / "work" / "job.json").write_text("private")
        for name in ("train.log", "train.jsonl", "parity.json"):
            (folder / name).write_text("private")
        artefact = Artefact(route=route, sha256=hash_folder(folder / "checkpoint"), bytes=9)
    record = replace(record, artefact=artefact)
    store.add_run(record)
    samples = b'{"id": "1"}\n'
    found = result(record, 0.5, 0.25, samples_sha256=sha256(samples).hexdigest())
    store.add_result(found)
    store.result_path(record.run_id, found.spec).with_name("samples.jsonl").write_bytes(samples)
    return record


def run_id(method: str = "part", seed: int = 1) -> str:
    return run_record(method, seed).run_id


def refused(call: Callable[[], object], kind: type[BenchbenchError] = BadParameter) -> str:
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


def test_checkpoint_and_records_go_and_nothing_else(store: Store) -> None:
    found = gather(store, run_id())
    (task,) = [name for name in found.files if name.startswith("tasks/")]
    assert set(found.files) == {*ADAPTER, "run.json", task}
    assert task.endswith("/result.json")
    with_samples = gather(store, run_id(), samples=True)
    assert set(with_samples.files) - set(found.files) == {
        task.replace("result.json", "samples.jsonl")
    }


def test_the_run_stands_beside_base_and_reference_alone(store: Store) -> None:
    add(store, "part", seed=2)
    add(store, "whole", seed=2)
    ((own, *others),) = gather(store, run_id()).results
    assert own.run_id == run_id()
    assert sorted(each.run_id for each in others) == sorted(
        [run_id("untuned"), run_id("whole"), run_id("whole", 2)]
    )


def test_a_run_is_named_by_its_first_digits(store: Store) -> None:
    assert find_run(store, run_id()[:6]).run_id == run_id()
    assert find_run(store, run_id()).run_id == run_id()


def test_a_run_that_is_none_is_refused_and_close_ones_are_named(
    store: Store, tmp_path: Path
) -> None:
    typo = run_id()[:-1] + "x"
    assert f"closest: {run_id()} (part (seed 1)), " in refused(lambda: find_run(store, typo))
    assert "closest: " in refused(lambda: find_run(store, "../../etc"))
    assert "closest: " in refused(lambda: find_run(store, ""))
    assert "holds no run that ended" in refused(lambda: find_run(Store(tmp_path / "none"), "a"))


def test_digits_that_begin_several_ids_are_refused(store: Store) -> None:
    for seed in range(2, 20):
        add(store, "part", seed)
    ids = [path.parent.name for path in store.folder.glob("*/run.json")]
    first = next(i[0] for i in ids if sum(other[0] == i[0] for other in ids) > 1)
    assert "give more of its digits" in refused(lambda: find_run(store, first))


def test_a_record_under_another_id_is_refused(store: Store) -> None:
    folder = store.run_folder(run_id())
    folder.rename(folder.with_name("0123456789ab"))
    assert "another version" in refused(lambda: find_run(store, "0123"), StoreError)


@pytest.mark.parametrize("status", ["diverged", "failed", "skipped", "out_of_memory"])
def test_a_run_that_is_not_done_is_refused(status: str, store: Store) -> None:
    add(store, "part", seed=3, status=status, reason="the loss was nan")
    message = refused(lambda: gather(store, run_id("part", 3)))
    assert f"is {status!r} (the loss was nan)" in message


def test_a_base_model_is_refused(store: Store) -> None:
    assert "nothing to push" in refused(lambda: gather(store, run_id("untuned")))


def test_a_changed_checkpoint_is_refused(store: Store) -> None:
    path = store.run_folder(run_id()) / "checkpoint" / "adapter_model.safetensors"
    path.write_bytes(WEIGHTS[:-1] + b"x")
    assert "not the one that was trained" in refused(lambda: gather(store, run_id()), StoreError)


def test_a_pickle_is_refused_even_where_it_was_trained(store: Store) -> None:
    record = add(store, "part", seed=4)
    folder = store.run_folder(record.run_id)
    (folder / "checkpoint" / "weights.bin").write_bytes(b"cos\nsystem\n")
    assert record.artefact is not None
    artefact = replace(record.artefact, sha256=hash_folder(folder / "checkpoint"))
    (folder / "run.json").unlink()
    store.add_run(replace(record, artefact=artefact))
    message = refused(lambda: gather(store, record.run_id), StoreError)
    assert "holds 'weights.bin'" in message


def test_changed_samples_are_refused_where_they_are_wanted(store: Store) -> None:
    (path,) = store.run_folder(run_id()).rglob("samples.jsonl")
    path.write_text("{}\n")
    assert gather(store, run_id()).results
    message = refused(lambda: gather(store, run_id(), samples=True), StoreError)
    assert message.endswith("leave out --samples.")


def test_folders_of_this_machine_are_not_published(store: Store) -> None:
    record = add(store, "part", seed=5, params={"diary": str(Path.home() / "diary.txt")})
    message = refused(lambda: gather(store, record.run_id), StoreError)
    assert message.startswith("run.json of the run names a folder of this machine")
    assert str(Path.home()) not in message


@pytest.mark.parametrize("name", ["", "toys", "a/b/c", "toys/..", "-a/b", "a/b c", "toys/a--b"])
def test_a_repository_that_is_none_is_refused(name: str) -> None:
    assert "is no repository of the hub" in refused(lambda: Target(repository=name))


@pytest.mark.parametrize("branch", ["", "refs/pr/1", "a b", "../x", "a..b", "-x"])
def test_a_branch_that_is_none_is_refused(branch: str) -> None:
    assert "--revision is" in refused(lambda: Target(repository="a/b", branch=branch))


TARGET = Target(repository="toys/new")


def test_everything_is_pushed_in_one_commit(store: Store, hub: ToyRepositories) -> None:
    found = gather(store, run_id(), samples=True)
    url = push(found, "---\ntags:\n- a\n---\nAbout it.\n", TARGET)
    assert url == f"{hub.address}/toys/new/commit/{1:040x}"
    assert hub.repositories["toys/new"].commits == [("main", f"benchbench: part, run {run_id()}")]
    files = hub.files("toys/new")
    assert files.pop(".gitattributes")
    assert files.pop("README.md").endswith(b"About it.\n")
    assert files == {name: path.read_bytes() for name, path in found.files.items()}
    assert hub.stored == {sha256(WEIGHTS).hexdigest(): WEIGHTS}
    assert not hub.repositories["toys/new"].private


CARD = "---\ntags:\n- a\n---\n"


def test_the_same_again_is_no_commit(
    store: Store, hub: ToyRepositories, caplog: pytest.LogCaptureFixture
) -> None:
    found = gather(store, run_id())
    push(found, CARD, TARGET)
    assert push(found, CARD, TARGET).startswith(f"{hub.address}/toys/new/commit/")
    assert len(hub.repositories["toys/new"].commits) == 1
    assert not caplog.records
    push(found, CARD + "More.\n", TARGET)
    assert len(hub.repositories["toys/new"].commits) == 2


def test_a_branch_is_made_and_main_left_alone(store: Store, hub: ToyRepositories) -> None:
    target = replace(TARGET, branch="runs/v2")
    push(gather(store, run_id()), CARD, target)
    push(gather(store, run_id()), CARD + "More.\n", target)
    assert set(hub.files("toys/new")) == {".gitattributes"}
    assert hub.files("toys/new", "runs/v2")["README.md"].endswith(b"More.\n")


def test_a_private_push_never_lands_in_the_open(store: Store, hub: ToyRepositories) -> None:
    found = gather(store, run_id())
    push(found, CARD, replace(TARGET, private=True))
    assert hub.repositories["toys/new"].private
    hub.add("toys/open")
    open_ = Target(repository="toys/open", private=True)
    assert "is there already and public" in refused(lambda: push(found, CARD, open_))
    assert not hub.repositories["toys/open"].commits


def test_two_runs_are_not_mixed_in_one_repository(store: Store, hub: ToyRepositories) -> None:
    push(gather(store, run_id()), CARD, TARGET)
    other = gather(store, run_id("whole"))
    hub.files("toys/new")["model.safetensors"] = WEIGHTS
    message = refused(lambda: push(other, CARD, TARGET))
    assert "holds 'model.safetensors', which is not of this run" in message
    assert len(hub.repositories["toys/new"].commits) == 1


def test_the_hub_s_refusals_say_what_to_do(
    store: Store, hub: ToyRepositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    found = gather(store, run_id())
    stranger = Target(repository="others/new")
    assert "may not write to others/new" in refused(
        lambda: push(found, CARD, stranger), BenchbenchError
    )
    hub.add("toys/new")
    monkeypatch.setenv("HF_TOKEN", READER)
    assert "may not write to toys/new" in refused(
        lambda: push(found, CARD, TARGET), BenchbenchError
    )
    monkeypatch.setenv("HF_TOKEN", "hf_" + "c" * 34)
    message = refused(lambda: push(found, CARD, TARGET), BenchbenchError)
    assert "does not accept the token" in message and "c" * 34 not in message
    monkeypatch.delenv("HF_TOKEN")
    asked = len(hub.asked)
    assert "set HF_TOKEN" in refused(lambda: push(found, CARD, TARGET))
    assert len(hub.asked) == asked
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "could not be pushed to" in refused(lambda: push(found, CARD, TARGET), BenchbenchError)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = refused(lambda: push(found, CARD, TARGET), BenchbenchError)
    assert "HF_HUB_OFFLINE=0" in message


@pytest.mark.parametrize("place", ["validate-yaml", "preupload", "batch", "/commit/"])
def test_a_push_that_breaks_commits_nothing(
    place: str, store: Store, hub: ToyRepositories, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.breaks_at = place
    found = gather(store, run_id())
    assert "try again" in refused(lambda: push(found, CARD, TARGET), BenchbenchError)
    assert set(hub.files("toys/new")) == {".gitattributes"}
    assert capsys.readouterr() == ("", "")
    hub.breaks_at = ""
    push(found, CARD, TARGET)
    assert len(hub.repositories["toys/new"].commits) == 1


def test_the_command_pushes_and_says_where(
    store: Store, hub: ToyRepositories, command: Command
) -> None:
    ended = command("push", run_id()[:8], "toys/new", "--out", str(store.folder))
    url = f"{hub.address}/toys/new/commit/{1:040x}"
    assert ended == (0, f"5 files of run {run_id()} are in toys/new: {url}\n", "")
    assert b"# part on toy" in hub.files("toys/new")["README.md"]


def test_a_dry_run_sends_nothing_and_needs_no_token(
    store: Store, hub: ToyRepositories, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    arguments = ["push", run_id(), "toys/new", "--out", str(store.folder), "--dry-run"]
    ended = command(*arguments)
    assert ended.code == 0 and ended.out.startswith("---\n") and "run.json" in ended.out
    told = json.loads(command(*arguments, "--json").out)
    assert told["card"] in ended.out and told["commit"] is None
    files = gather(store, run_id()).files
    sizes = {name: path.stat().st_size for name, path in files.items()}
    sizes["README.md"] = len(told["card"].encode())
    assert {each["path"]: each["bytes"] for each in told["files"]} == sizes
    assert not hub.asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ffffffffffff", "toys/new"], "no run in"),
        ([run_id("untuned"), "toys/new"], "is the base model"),
        ([run_id(), "toys"], "'toys' is no repository"),
        ([run_id(), "toys/new", "--license", "my own: yes"], "--license is"),
        ([run_id(), "toys/new", "--revision", "a b"], "--revision is"),
    ],
)
def test_wrong_requests_end_in_one_sentence(
    arguments: list[str], message: str, store: Store, hub: ToyRepositories, command: Command
) -> None:
    ended = command("push", *arguments, "--out", str(store.folder))
    assert ended.code == 2 and ended.out == "" and ended.err.count("\n") == 1
    assert message in ended.err
    assert not hub.asked

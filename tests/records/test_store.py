import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchbench.errors import StoreError
from benchbench.records.record import SCHEMA, Artefact
from benchbench.records.store import Store, hash_folder, set_aside
from tests.toys import result, run_record


def test_records_come_back_equal(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record(params={"size": 3})
    found = result(run, 0.5, 0.25)
    store.add_run(run)
    store.add_result(found)
    assert store.run(run.run_id) == run
    assert store.read().result(run.run_id, found.spec) == found
    assert (list(store.read().runs.values()), list(store.read().results)) == ([run], [found])


def test_records_are_never_overwritten(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record()
    path = store.add_run(run)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="never overwritten"):
        store.add_run(replace(run, status="failed"))
    assert path.read_bytes() == before


def test_results_that_may_differ_have_different_places(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record()
    spec = result(run, 0.5).spec
    others = [
        replace(spec, engine=replace(spec.engine, version="2")),
        replace(spec, engine=replace(spec.engine, dtype="bfloat16")),
        replace(spec, task=replace(spec.task, version=2)),
        replace(spec, data=replace(spec.data, digest="1")),
        replace(spec, task=replace(spec.task, params={"instances": 3})),
        replace(spec, checkpoint="another"),
    ]
    places = {store.result_folder(run.run_id, s) for s in (spec, *others)}
    assert len(places) == 1 + len(others)


def test_a_half_written_record_does_not_count(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record()
    folder = store.run_folder(run.run_id)
    folder.mkdir(parents=True)
    (folder / "run.part").write_text('{"spec":')
    assert store.run(run.run_id) is None
    store.add_run(run)
    assert store.run(run.run_id) == run


@pytest.mark.parametrize("text", ["", "{", "[]", f'{{"schema": {SCHEMA}, "status": "done"}}'])
def test_a_broken_record_is_named(tmp_path: Path, text: str) -> None:
    store, run = Store(tmp_path), run_record()
    path = store.add_run(run)
    path.write_text(text)
    with pytest.raises(StoreError, match=r"run\.json.*is not a valid record"):
        store.run(run.run_id)


def test_a_record_of_another_schema_is_refused(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record()
    path = store.add_run(run)
    path.write_text(json.dumps({"schema": 99, "anything": []}))
    with pytest.raises(StoreError, match="schema 99"):
        store.run(run.run_id)


def test_rows_survive_a_kill_and_a_half_line_is_dropped(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record()
    spec = result(run, 0.5).spec
    for name in ("ä", "b"):
        store.add_row(run.run_id, spec, {"id": name, "output": "日本\n\u2028"})
    path = store.result_folder(run.run_id, spec) / "samples.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": "c", "out')
    assert list(store.read_rows(run.run_id, spec)) == ["ä", "b"]
    assert path.read_bytes() == whole
    store.add_row(run.run_id, spec, {"id": "c"})
    assert list(store.read_rows(run.run_id, spec)) == ["ä", "b", "c"]


def test_a_broken_row_is_named(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record()
    spec = result(run, 0.5).spec
    store.add_row(run.run_id, spec, {"id": "a"})
    path = store.result_folder(run.run_id, spec) / "samples.jsonl"
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(StoreError, match=r"samples\.jsonl"):
        store.read_rows(run.run_id, spec)


def test_one_command_at_a_time(tmp_path: Path) -> None:
    with (
        Store(tmp_path).lock(),
        pytest.raises(StoreError, match="another benchbench command"),
        Store(tmp_path).lock(),
    ):
        pass
    with Store(tmp_path).lock():
        pass


def test_a_killed_command_lets_go_of_the_store(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from benchbench.records.store import Store\n"
        "with Store(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child.stdout as output:
        assert output.readline() == "held\n"
        with pytest.raises(StoreError), Store(tmp_path).lock():
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with Store(tmp_path).lock():
        pass


def test_an_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match=r"cannot write to .*--out"),
        Store(tmp_path / "file" / "runs").lock(),
    ):
        pass


def test_a_changed_checkpoint_is_refused(tmp_path: Path) -> None:
    store, run = Store(tmp_path), run_record()
    folder = store.run_folder(run.run_id) / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    artefact = Artefact(route="lora", sha256=hash_folder(folder), bytes=7)
    record = replace(run, artefact=artefact)
    assert store.checkpoint(record).folder == folder
    (folder / "adapter_model.safetensors").write_bytes(b"weightS")
    with pytest.raises(StoreError, match="is not the one that was trained"):
        store.checkpoint(record)


def test_the_hash_sees_names_and_contents(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "a").write_text("x")
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")
    (tmp_path / "two" / "sub" / "a").rename(tmp_path / "two" / "a")
    assert hash_folder(tmp_path / "one") != hash_folder(tmp_path / "two")


def test_a_failed_run_is_set_aside_and_not_lost(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = run_record(status="failed", reason="no luck", artefact=None)
    for number in (1, 2):
        store.add_run(run)
        assert set_aside(store.run_folder(run.run_id)).name == f"{run.run_id}.failed-{number}"
    assert store.run(run.run_id) is None
    assert not store.read().runs

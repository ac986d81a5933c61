"""Fetching data sets; the hub is a small server on this machine."""

import hashlib
import json
import logging
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from benchbench import Data, Generation, HubData, Protocol, Sample, Task, TaskSpec
from benchbench.data.download import fetch
from benchbench.data.read import key, read_jsonl
from benchbench.errors import BenchbenchError, MissingExtra
from benchbench.plan.samples import TaskSplit, read_contents
from benchbench.records.record import PluginOrigin
from benchbench.registry.registry import Registry
from tests.toys.hub import COMMIT, OTHER, ToyHub, serve

WORDS = b"".join(b'{"word": "w%d"}\n' % n for n in range(20_000))
HUB = HubData(
    repository="toys/words", revision=COMMIT, files={"data/words.jsonl": "sub/words.jsonl"}
)


@dataclass(frozen=True, kw_only=True)
class Words(Task):
    """Say a word."""

    name = "words"
    family = "toy"
    data_set = "words"
    metric = "same"
    splits = ("test",)
    how_to_get = "write words into {folder}"
    hub: ClassVar[HubData | None] = HUB
    protocols: ClassVar[dict[str, Protocol]] = {
        "say": Protocol(summary="a word", generation=Generation(max_tokens=4))
    }

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        path = data.folder / "sub" / "words.jsonl"
        for i, row in enumerate(read_jsonl(path), start=1):
            word = key(row, "word", str, f"line {i} of {path}")
            yield Sample(id=word, input=word, targets=(word,))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyHub]:
    with serve(tmp_path, monkeypatch) as served:
        served.files["data/words.jsonl"] = WORDS
        served.other["data/words.jsonl"] = b'{"word": "other"}\n'
        yield served


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def registry_of(task: type[Words]) -> Registry:
    origins = {("task", "words"): PluginOrigin(plugin="toys", distribution="toys", version="1")}
    return Registry(methods={}, models={}, tasks={"words": task}, mixes={}, origins=origins)


def got(root: Path, revision: str | None = None, **facts: Any) -> dict[Any, TaskSplit]:
    task = type("ThisWords", (Words,), facts)
    registry = registry_of(task)
    return fetch(
        task(),
        root,
        lambda folder: read_contents(TaskSpec(name="words"), registry, folder),
        revision,
    )


def refused(root: Path, revision: str | None = None, **facts: Any) -> str:
    before = {path: path.read_bytes() for path in root.rglob("words/**/*") if path.is_file()}
    with pytest.raises(BenchbenchError) as caught:
        got(root, revision, **facts)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and ".part" not in message
    assert before == {p: p.read_bytes() for p in root.rglob("words/**/*") if p.is_file()}
    assert not (root / ".part").exists()
    return message


def test_a_data_set_is_fetched_whole_with_its_provenance(hub: ToyHub, root: Path) -> None:
    found = got(root)
    assert len(found["test"].samples) == 20_000
    again = read_contents(TaskSpec(name="words"), registry_of(Words), root)
    assert again["test"].data == found["test"].data
    assert (root / "words" / "sub" / "words.jsonl").read_bytes() == WORDS
    digest = hashlib.sha256(WORDS).hexdigest()
    assert json.loads((root / "words" / "source.json").read_text()) == {
        "repository": "toys/words",
        "revision": COMMIT,
        "fetched": {"data/words.jsonl": digest},
        "files": {"sub/words.jsonl": digest},
    }
    assert {path.name for path in root.iterdir()} <= {"words", ".lock"}


def test_another_revision_may_be_asked_for_and_is_recorded(hub: ToyHub, root: Path) -> None:
    assert len(got(root, OTHER)["test"].samples) == 1
    assert json.loads((root / "words" / "source.json").read_text())["revision"] == OTHER


def test_what_a_killed_command_left_is_cleared_away(hub: ToyHub, root: Path) -> None:
    (root / ".part" / "words" / "sub").mkdir(parents=True)
    (root / ".part" / "words" / "old.txt").touch()
    got(root)
    assert not (root / "words" / "old.txt").exists() and not (root / ".part").exists()


def test_a_folder_that_is_there_is_left_as_it_is(hub: ToyHub, root: Path) -> None:
    (root / "words").mkdir(parents=True)
    (root / "words" / "mine.txt").write_text("mine")
    assert "exists already and is left as it is" in refused(root)
    assert not hub.asked


def test_two_commands_do_not_write_to_one_root(hub: ToyHub, root: Path) -> None:
    from filelock import FileLock

    root.mkdir()
    with FileLock(root / ".lock"):
        assert "another benchbench command" in refused(root)
    got(root)


def test_refusals_of_the_hub_say_what_to_do(hub: ToyHub, root: Path) -> None:
    by_hand = f"write words into {root}/words"
    unknown = refused(root, hub=replace(HUB, repository="toys/none"))
    assert "no data set 'toys/none'" in unknown and by_hand in unknown
    gone = refused(root, "f" * 40)
    assert f"has no revision {'f' * 40}" in gone and by_hand in gone
    lacking = refused(root, hub=replace(HUB, files={"data/nothing.jsonl": "words.jsonl"}))
    assert "no file data/nothing.jsonl" in lacking and by_hand in lacking
    hub.gated = True
    assert "datasets/toys/words" in (gated := refused(root)) and "HF_TOKEN" in gated


def test_without_a_hub_the_switch_and_the_way_by_hand_are_named(
    hub: ToyHub, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = refused(root)
    assert "HF_HUB_OFFLINE=0" in message and f"write words into {root}/words" in message


def test_of_a_hub_that_cannot_be_reached_one_sentence_tells(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    told: list[logging.LogRecord] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", told.append)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.addHandler(handler)
    try:
        assert "cannot be reached: try again, or write words into" in refused(root)
    finally:
        logger.removeHandler(handler)
    assert [record.getMessage() for record in told] == []
    assert logger.level == level


def test_a_task_that_the_hub_does_not_have_says_how_to_get_it(root: Path) -> None:
    assert "cannot be fetched from the hub; write words into" in refused(root, hub=None)
    assert "put the data set into DIR/words" in refused(root, hub=None, how_to_get="")
    assert not root.exists()


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:12], COMMIT.upper() + "g"])
def test_a_revision_is_a_commit(revision: str, root: Path) -> None:
    assert "must be a commit" in refused(root, revision)
    with pytest.raises(ValueError, match="must be a commit"):
        HubData(repository="toys/words", revision=revision, files={})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"word": "a"}\n{"wor', "line 2 of sub/words.jsonl is not valid JSON"),
        (b'{"term": "a"}\n', "line 1 of sub/words.jsonl has no key 'word'"),
        (b"", "words.jsonl is empty"),
        (b"\xff\xfe", "is not UTF-8"),
        (b'{"word": "a"}\n{"word": "a"}\n', "'a'"),
    ],
)
def test_what_the_task_cannot_read_is_not_kept(
    content: bytes, message: str, hub: ToyHub, root: Path
) -> None:
    hub.files["data/words.jsonl"] = content
    found = refused(root)
    assert "nothing of it is kept" in found and message in found
    assert not (root / "words").exists()


@pytest.mark.parametrize(
    "path", ["../out.jsonl", "/out.jsonl", "a/../../out.jsonl", "a\\b", "", "a//b", "C:/out", "."]
)
def test_a_path_that_leads_elsewhere_is_refused(path: str, hub: ToyHub, root: Path) -> None:
    hub.files[path] = WORDS
    assert "no path within a data set" in refused(root, hub=replace(HUB, files={path: "a"}))
    target = replace(HUB, files={"data/words.jsonl": path})
    assert "no path within a data set" in refused(root, hub=target)
    assert "no path within a data set" in refused(root, data_set=path)
    assert {each.name for each in root.parent.iterdir()} <= {"root", "cache"}
    assert not root.exists() or {each.name for each in root.iterdir()} <= {".lock"}


def test_a_root_that_cannot_be_written_to(hub: ToyHub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written to" in refused(tmp_path / "file" / "root")


def test_a_full_disk_is_named(
    hub: ToyHub, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import errno
    import os
    import shutil

    import huggingface_hub

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        assert "No space left on device" in (found := refused(root)) and "--data DIR" in found
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    assert str(tmp_path / "cache") in (found := refused(root)) and "HF_HOME" in found


# Tables


class Table(list[dict[str, Any]]):
    def to_pylist(self) -> list[dict[str, Any]]:
        return list(self)


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for pyarrow: a table is a JSON list; anything else is invalid."""

    def read_table(path: Path) -> Table:
        return Table(json.loads(path.read_bytes()))

    parquet = types.ModuleType("pyarrow.parquet")
    parquet.read_table = read_table  # type: ignore[attr-defined]
    pyarrow = types.ModuleType("pyarrow")
    pyarrow.parquet = parquet  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)


def test_tables_become_the_format_that_the_task_reads(
    tables: None, hub: ToyHub, root: Path
) -> None:
    hub.files["a.parquet"] = '[{"word": "één"}, {"word": "two"}]'.encode()
    hub.files["b.parquet"] = b'[{"word": "three"}]'
    both = {"a.parquet": "sub/words.jsonl", "b.parquet": "sub/words.jsonl"}
    assert len(got(root, hub=replace(HUB, files=both))["test"].samples) == 3
    text = (root / "words" / "sub" / "words.jsonl").read_text(encoding="utf-8")
    assert text == '{"word": "één"}\n{"word": "two"}\n{"word": "three"}\n'
    source = json.loads((root / "words" / "source.json").read_text())
    assert source["fetched"].keys() == both.keys() and source["files"].keys() == {"sub/words.jsonl"}


def test_a_table_may_be_one_json_list_or_whatever_the_task_says(
    tables: None, hub: ToyHub, root: Path
) -> None:
    hub.files["a.parquet"] = b'[{"word": "one"}]'
    files = {"a.parquet": "list.json", "data/words.jsonl": "sub/words.jsonl"}
    got(root / "1", hub=replace(HUB, files=files))
    assert json.loads((root / "1" / "words" / "list.json").read_text()) == [{"word": "one"}]
    said = replace(HUB, files=files, text=lambda rows: f"{len(rows)} rows")
    got(root / "2", hub=said)
    assert (root / "2" / "words" / "list.json").read_text() == "1 rows"
    assert (root / "2" / "words" / "sub" / "words.jsonl").read_bytes() == WORDS


def test_a_table_is_shared_out_by_a_column(tables: None, hub: ToyHub, root: Path) -> None:
    rows = [{"word": "a", "part": "words"}, {"word": "b", "part": "x"}, {"word": "c", "part": "x"}]
    hub.files["a.parquet"] = json.dumps(rows).encode()
    shared = replace(HUB, files={"a.parquet": "sub/{part}.jsonl"})
    assert len(got(root, hub=shared)["test"].samples) == 1
    assert len((root / "words" / "sub" / "x.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("rows", "target", "message"),
    [
        (b"PAR1 and no more", "sub/words.jsonl", "a.parquet is no parquet file"),
        (b'[{"word": "a"}]', "sub/{part}.jsonl", "has no column 'part'"),
        (b'[{"word": "../../../a"}]', "sub/{word}.jsonl", "no path within a data set"),
        (b'[{"term": "a"}]', "sub/words.jsonl", "not those that are known (KeyError: 'word')"),
        (b"[]", "sub/words.jsonl", "the table a.parquet has no rows"),
    ],
)
def test_a_malformed_table_is_not_kept(
    rows: bytes, target: str, message: str, tables: None, hub: ToyHub, root: Path
) -> None:
    hub.files["a.parquet"] = rows

    def write(rows: Any) -> str:
        return "".join(f'{{"word": "{row["word"]}"}}\n' for row in rows)

    found = refused(root, hub=replace(HUB, files={"a.parquet": target}, text=write))
    assert "nothing of it is kept" in found and message in found
    assert not (root / "words").exists()


def test_tables_need_pyarrow_which_is_said_before_anything_is_fetched(
    hub: ToyHub, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra) as caught:
        got(root, hub=replace(HUB, files={"a.parquet": "sub/words.jsonl"}))
    message = str(caught.value)
    assert "pyarrow is not installed; run: pip install 'benchbench-peft[data]'" in message
    assert not hub.asked


def test_real_parquet(hub: ToyHub, root: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="extra data is not installed")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"word": ["één", "two"]}), tmp_path / "a.parquet")
    hub.files["a.parquet"] = (tmp_path / "a.parquet").read_bytes()
    table = replace(HUB, files={"a.parquet": "sub/words.jsonl"})
    assert len(got(root / "1", hub=table)["test"].samples) == 2
    hub.files["b.parquet"] = b"PAR1 and no more"
    broken = replace(HUB, files={"b.parquet": "sub/words.jsonl"})
    assert "b.parquet is no parquet file" in refused(root / "2", hub=broken)

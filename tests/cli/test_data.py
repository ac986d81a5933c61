"""``benchbench data``: fetching by name, and saying what there is."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchbench.cli import main
from benchbench.registry.registry import Registry
from tests.toys.hub import COMMIT, OTHER, ToyHub, serve

PLUGIN = f'''
from dataclasses import dataclass

from benchbench import Generation, HubData, Protocol, Sample, Task, hookimpl


@dataclass(frozen=True, kw_only=True)
class Words(Task):
    """Say a word."""

    name = "words"
    family = "wordy"
    data_set = "words"
    metric = "same"
    splits = ("test",)
    protocols = {{"say": Protocol(summary="a word", generation=Generation(max_tokens=4))}}
    hub = HubData(repository="toys/words", revision="{COMMIT}", files={{"a": "a", "b": "b"}})

    def samples(self, split, data):
        for word in sorted((data.folder / "a").read_text().split()):
            yield Sample(id=word, input=word, targets=(word,))

    def score(self, sample, answers):
        return {{"same": 0.0}}


@dataclass(frozen=True, kw_only=True)
class Gone(Words):
    """Say a word that is gone."""

    name = "gone"
    data_set = "gone"
    hub = HubData(repository="toys/gone", revision="{COMMIT}", files={{"a": "a"}})


@dataclass(frozen=True, kw_only=True)
class ByHand(Words):
    """Say a word of your own."""

    name = "by-hand"
    data_set = "by-hand"
    how_to_get = "write words into {{folder}}"
    hub = None


@hookimpl
def register_tasks():
    return [Words, Gone, ByHand]
'''


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyHub]:
    with serve(tmp_path, monkeypatch) as served:
        served.files |= {"a": b"one two three", "b": b"x" * 100_000}
        served.other |= {"a": b"uno", "b": b""}
        yield served


@pytest.fixture
def plugin(in_folder: Path) -> str:
    (in_folder / "wordy.py").write_text(PLUGIN)
    return "wordy.py"


@pytest.fixture
def command(plugin: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> tuple[int, str, str]:
        line = ["benchbench", "data", *arguments, "--plugin", plugin]
        monkeypatch.setattr(sys, "argv", line)
        monkeypatch.delitem(sys.modules, Path(plugin).stem, raising=False)  # another test's
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def rows(out: str) -> dict[str, dict]:
    return {row["task"]: row for row in json.loads(out)}


def refused(ended: tuple[int, str, str]) -> str:
    code, out, err = ended
    assert code == 2 and out == "", ended
    (sentence,) = (line for line in err.splitlines() if line.startswith("benchbench: "))
    assert "Traceback" not in err
    return sentence


def test_a_task_is_fetched_and_told_of(command, hub: ToyHub) -> None:
    code, out, err = command("get", "words", "--data", "D", "--json")
    row = rows(out)["words"]
    assert code == 0 and row["state"] == "fetched" and row["splits"]["test"]["samples"] == 3
    assert row["hub"] == {"repository": "toys/words", "revision": COMMIT}
    assert "toys/words" in err and COMMIT in err
    code, out, _ = command("status", "words", "--data", "D", "--json")
    found = rows(out)["words"]
    assert code == 0 and found["state"] == "found" and found["splits"] == row["splits"]


def test_the_table_has_counts_and_digest(command, hub: ToyHub) -> None:
    _, out, _ = command("get", "words", "--data", "D")
    header, line = out.splitlines()
    assert header.split() == ["task", "state", "split", "samples", "digest", "get"]
    task, state, split, samples, digest = line.split()
    assert (task, state, split, samples) == ("words", "fetched", "test", "3")
    assert len(digest) == 12


def test_the_data_root_may_come_from_the_environment(
    command, hub: ToyHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--data DIR or BENCHBENCH_DATA" in refused(command("get", "words"))
    monkeypatch.setenv("BENCHBENCH_DATA", "D")
    assert command("get", "words")[0] == 0 and Path("D/words/a").is_file()


def test_a_command_that_is_killed_half_way_goes_on_when_it_is_given_again(
    command, plugin: str, hub: ToyHub, tmp_path: Path
) -> None:
    line = [sys.executable, "-m", "benchbench", "data", "get", "words", "--data", "D"]
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.address,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_CACHE": str(tmp_path / "cache"),
    }
    hub.stalls.add("b")
    first = subprocess.Popen(
        [*line, "--plugin", plugin], env=environment, stderr=subprocess.DEVNULL
    )
    assert hub.stalled.wait(60)
    first.kill()
    first.wait()
    hub.go.set()
    hub.stalls.clear()
    assert not Path("D/words").exists()
    hub.sent.clear()
    assert command("get", "words", "--data", "D")[0] == 0
    assert hub.sent == ["b"]
    assert sorted(path.name for path in Path("D/words").iterdir()) == ["a", "b", "source.json"]
    assert not Path("D/.part").exists()


def test_of_a_family_what_can_be_fetched_is_and_the_rest_is_told(command, hub: ToyHub) -> None:
    code, out, _ = command("get", "wordy", "--data", "D", "--json")
    found = rows(out)
    assert code == 1
    assert {name: row["state"] for name, row in found.items()} == {
        "by-hand": "not on the hub",
        "gone": "failed",
        "words": "fetched",
    }
    assert found["by-hand"]["get"] == "write words into D/by-hand"
    assert "toys/gone" in found["gone"]["reason"]
    asked = len(hub.asked)
    again = rows(command("get", "wordy", "--data", "D", "--json")[1])
    assert again["words"]["state"] == "there already"
    assert not [path for path in hub.asked[asked:] if "toys/words" in path]
    out = command("get", "wordy", "--data", "D")[1]
    assert "write words into D/by-hand" in out and "there already" in out
    *table, below = out.splitlines()
    assert not any("toys/gone" in line for line in table)
    assert below.startswith("gone: failed: there is no data set 'toys/gone' on the hub")


def test_of_a_mix_every_component_is_fetched_or_told(command, hub: ToyHub) -> None:
    Path("both.toml").write_text(
        'seed = 1\n[components]\nwords = 1\n"words@say" = "all"\nby-hand = 2\n'
    )
    code, out, _ = command("get", "both.toml", "--data", "D", "--json")
    states = {name: row["state"] for name, row in rows(out).items()}
    assert code == 0 and states == {"words": "fetched", "by-hand": "not on the hub"}
    found = rows(command("status", "tulu-v1", "--json")[1])
    assert {"flan-v2", "cot", "sharegpt"} < set(found) and "words" not in found
    assert "cannot read 'none.toml'" in refused(command("get", "none.toml", "--data", "D"))


def test_wrong_requests_are_one_sentence_and_fetch_nothing(command, hub: ToyHub) -> None:
    for names, message in (
        (["wrods"], "no task named 'wrods'; did you mean 'words'?"),
        (["words", "by-hand"], "by-hand' cannot be fetched from the hub; write words into"),
        (["words", "--revision", "main"], "it must be a commit: 40 hexadecimal digits, such as"),
        (["wordy", "--revision", OTHER], "name one task with it"),
        (["words:size=3"], "no parameter size"),
    ):
        assert message in refused(command("get", *names, "--data", "D"))
    assert "missing argument" in command("get", "--data", "D")[2]
    assert not hub.asked and not Path("D").exists()
    assert "has no revision" in refused(
        command("get", "words", "--data", "D", "--revision", "f" * 40)
    )
    assert not Path("D/words").exists()


def test_another_revision_is_recorded(command, hub: ToyHub) -> None:
    assert command("get", "words", "--data", "D", "--revision", OTHER)[0] == 0
    assert json.loads(Path("D/words/source.json").read_text())["revision"] == OTHER
    message = refused(command("get", "words", "--data", "D"))
    assert "exists already and is left as it is" in message
    assert Path("D/words/a").read_text() == "uno"


def test_status_tells_found_missing_broken_and_sample(command, hub: ToyHub) -> None:
    command("get", "words", "--data", "D")
    for folder, text in (("by-hand", "one"), ("gone", None)):
        Path("D", folder).mkdir()
        if text:
            Path("D", folder, "a").write_text(text)
    code, out, _ = command("status", "wordy", "truthfulqa", "--data", "D", "--json")
    found = rows(out)
    assert code == 1
    states = {name: row["state"] for name, row in found.items()}
    assert states == {
        "words": "found",
        "by-hand": "found",
        "gone": "broken",
        "truthfulqa": "missing",
    }
    assert "cannot be read" in found["gone"]["reason"]
    assert found["gone"]["get"] == ("move D/gone away, then run: benchbench data get gone --data D")
    *table, below = command("status", "wordy", "--data", "D")[1].splitlines()
    assert below.startswith("gone: broken: ") and "cannot be read" in below
    assert not any("cannot be read" in line for line in table)
    code, out, _ = command("status", "words", "truthfulqa", "--json")
    states = {name: row["state"] for name, row in rows(out).items()}
    assert code == 0 and states == {"words": "missing", "truthfulqa": "sample"}
    assert "benchbench data get words --data DIR" in command("status", "words")[1]


def test_status_of_a_data_root_that_is_none_is_one_sentence(command) -> None:
    message = refused(command("status", "--data", "nowhere"))
    assert "the data root 'nowhere' is not a folder" in message


def test_a_run_and_the_status_name_the_same_source(
    command, plugin: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("D").mkdir()
    for name in ("words", "by-hand"):
        get = rows(command("status", name, "--data", "D", "--json")[1])[name]["get"]
        run = ["run", "--method", "base", "--tasks", name, "--data", "D", "--plugin", plugin]
        monkeypatch.setattr(sys, "argv", ["benchbench", *run])
        monkeypatch.delitem(sys.modules, Path(plugin).stem, raising=False)
        with pytest.raises(SystemExit):
            main()
        assert f"; {get}, or name another root" in capsys.readouterr().err


def test_status_of_everything_that_comes_with_the_project(command) -> None:
    code, out, _ = command("status", "--json")
    found = rows(out)
    assert code == 0 and set(found) > set(Registry.load().tasks)
    assert all(row["get"] for row in found.values())

"""The command line: start-up cost, listings, and one sentence for every mistake."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from benchbench import __version__
from benchbench.cli import main
from benchbench.records.store import Store

HEAVY = (
    "torch transformers peft vllm datasets ray pandas numpy scipy matplotlib safetensors "
    "huggingface_hub accelerate tokenizers sklearn"
).split()


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def command(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run the command line in this process, in an empty folder."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["benchbench", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list", "methods"], ["show", "lora"], ["run", "--help"]]
)
def test_nothing_heavy_is_imported_to_help_or_list(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['benchbench', *{arguments!r}]\n"
        "from benchbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_help_does_not_look_for_plugins() -> None:
    code = (
        "import sys\nsys.argv = ['benchbench', '--help']\nfrom benchbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert not {'benchbench.registry.registry', 'pydantic', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_the_version(command: Command) -> None:
    assert command("--version") == Ended(0, f"benchbench {__version__}\n", "")


@pytest.mark.parametrize("kind", ["methods", "models", "tasks", "plugins"])
def test_listings_for_machines(command: Command, kind: str) -> None:
    ended = command("list", kind, "--json")
    rows = json.loads(ended.out)
    assert rows and all({"name", "plugin"} <= set(row) for row in rows)


def test_listings_in_a_pipe_are_plain_aligned_lines(command: Command) -> None:
    lines = command("list", "methods").out.splitlines()
    assert lines[0].startswith("name") and len(lines) >= 4
    assert {line.index("benchbench_plugins") for line in lines[1:]} == {lines[0].index("plugin")}


def test_show_tells_parameters_and_source(command: Command) -> None:
    out = command("show", "lora").out
    assert "rank = 16 (int)" in out and "2106.09685" in out
    (detail,) = json.loads(command("show", "super-ni", "--json").out)
    assert set(detail["protocols"]) == {"definition", "def-pos2"}


def test_show_prints_lists_as_words_and_the_default_protocol(command: Command) -> None:
    lines = command("show", "mt-bench").out.splitlines()
    assert "splits: test" in lines
    assert "  full = All questions, greedy. (default)" in lines
    assert sum("(default)" in line for line in lines) == 1


def test_show_reads_the_file_of_a_mix(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "both.toml"
    path.write_text('summary = "Both."\nseed = 3\n[components]\ndolly = 5\nlima = "all"\n')
    out = command("show", str(path)).out
    assert out.startswith("mix both\n") and "dolly = 5" in out and "seed: 3" in out
    (detail,) = json.loads(command("show", str(path), "--json").out)
    assert detail["components"] == {"dolly": 5, "lima": "all"}
    one_sentence(command("show", "none.toml"), "cannot read 'none.toml'")
    path.write_text("seed = 3\n")
    one_sentence(command("show", str(path)), "lacks 'components'")


def test_no_boards_say_where_they_are_looked_for(command: Command) -> None:
    ended = command("list", "boards", "--json")
    assert (ended.code, json.loads(ended.out)) == (0, [])
    assert str(Path.cwd() / "leaderboards") in ended.err
    Path("leaderboards", "mine").mkdir(parents=True)
    Path("leaderboards", "mine", "board.toml").touch()
    ended = command("list", "boards", "--json")
    assert [row["name"] for row in json.loads(ended.out)] == ["mine"] and ended.err == ""


def test_show_prints_no_local_path(command: Command) -> None:
    out = command("show", "nano").out + command("show", "nano", "--json").out
    assert "/" not in out.replace("n/a", "")


def super_ni(root: Path, **task: object) -> Path:
    """Write a data root with one small task in each split."""
    folder = root / "super-ni"
    (folder / "splits" / "default").mkdir(parents=True)
    (folder / "tasks").mkdir()
    for split in ("train", "test"):
        (folder / "splits" / "default" / f"{split}_tasks.txt").write_text(f"task_{split}\n")
        content = {
            "Definition": ["Say yes."],
            "Categories": ["Toy"],
            "Positive Examples": [{"input": "a", "output": "yes", "explanation": ""}] * 2,
            "Instances": [{"id": "1", "input": "a", "output": ["yes"]}],
        }
        (folder / "tasks" / f"task_{split}.json").write_text(json.dumps(content | task))
    return root


WRONG = {
    "method": (["--method", "loraa"], "no method named 'loraa'; did you mean 'lora'"),
    "task": (["--tasks", "super-no"], "no task named 'super-no'; did you mean 'super-ni'"),
    "protocol": (["--tasks", "super-ni@zero"], "it has: definition, def-pos2"),
    "model": (["--model", "nanno"], "nanno"),
    "parameter": (["--method", "lora:r=3"], "'lora' has no parameter r; it has: .*rank"),
    "type": (["--method", "lora:rank=three"], "rank is 'three'; it must be int"),
    "range": (["--method", "lora:rank=0"], "rank is 0; it must be 1 or more"),
    "task parameter": (["--tasks", "super-ni:instances=0"], "instances"),
    "syntax": (["--method", "lora:rank"], "cannot read 'rank'"),
    "setting": (["--set", "epoch=1"], "no setting epoch; it has: .*epochs"),
    "several to train on": (["--train-on", "a", "--train-on", "b"], "given 2 times.*FILE.toml"),
    "only to train on": (["--tasks", "training"], "alpaca, .*; name one with --train-on"),
    "seeds": (["--seeds", "one"], "--seeds is 'one'; it must be whole numbers"),
    "data": (["--data", "nowhere"], "nowhere"),
    "engine": (["--engine", "warp"], "'warp'"),
    "board": (["--board", "nowhere"], "board.toml"),
    "board and flags": (["--board", "x", "--method", "lora"], "--board x says itself"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_is_one_sentence_and_writes_nothing(name: str, command: Command) -> None:
    arguments, message = WRONG[name]
    ended = command("run", *arguments)
    one_sentence(ended, message)
    assert list(Path.cwd().iterdir()) == []


MISTYPED = {
    "value": (["list", "foo"], "'foo' is not one of 'methods', .*'plugins'; see `.* list --help`"),
    "no value": (["list"], "missing argument 'kind'; choose from: methods, models, .* list --help"),
    "too many": (["show", "lora", "full"], r"extra argument.*\(full\)"),
    "command": (["lsit"], "no such command 'lsit'; did you mean 'list'\\? See .* --help"),
    "subcommand": (["leaderboard", "biuld"], "no such command 'biuld'"),
    "option": (["run", "--sedes", "1"], "no such option: --sedes .*--seeds"),
    "option without": (["run", "--seeds"], "option '--seeds' requires an argument"),
    "unknown method": (["check", "zzz"], "no method or plugin named 'zzz'; closest: .* methods`"),
}


@pytest.mark.parametrize("name", MISTYPED)
def test_a_mistyped_command_is_one_sentence(name: str, command: Command) -> None:
    arguments, message = MISTYPED[name]
    ended = command(*arguments)
    one_sentence(ended, message)
    assert len(ended.err.splitlines()) == 1 and len(ended.err) < 250


@pytest.mark.parametrize("arguments", [[], ["leaderboard"]])
def test_nothing_asked_for_is_answered_with_help(arguments: list[str], command: Command) -> None:
    ended = command(*arguments)
    assert (ended.out + ended.err).startswith("Usage: ") and "Commands:" in ended.out + ended.err


DATA = {
    "truncated": ("task_train.json", '{"Definition": ["Say', "task_train.json"),
    "no instances": ("task_train.json", {"Instances": []}, "Instances"),
    "key": ("task_test.json", {"Definition": None}, "Definition.*task_test.json"),
    "type": ("task_train.json", {"Instances": "many"}, "Instances.*task_train.json"),
    "empty split": ("../splits/default/train_tasks.txt", "", "train_tasks.txt"),
    "missing task": ("../splits/default/test_tasks.txt", "task9\n", "task9"),
}


@pytest.mark.parametrize("name", DATA)
def test_wrong_data_names_file_and_key(name: str, command: Command, tmp_path: Path) -> None:
    file, content, message = DATA[name]
    path = super_ni(tmp_path / "data") / "super-ni" / "tasks" / file
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_text()) | content)
    path.write_text(str(content))
    ended = command("run", "--data", str(tmp_path / "data"))
    one_sentence(ended, message)
    assert not Path("runs").exists()


def test_an_unwritable_output_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one_sentence(command("run", "--out", str(tmp_path / "file" / "x")), "cannot write to .*--out")


def test_ctrl_c_is_130_and_one_line_that_says_how_to_go_on(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchbench.run.march.run", interrupted)
    assert command("run") == Ended(130, "", "stopped; the same command again goes on from here.\n")
    monkeypatch.setattr("benchbench.cli.show.entries", interrupted)
    ended = command("list", "methods")
    assert ended.code == 130 and "Traceback" not in ended.err


def test_two_commands_on_one_store(command: Command, tmp_path: Path) -> None:
    with Store(tmp_path / "runs").lock():
        one_sentence(command("run"), "another benchbench command")


def test_a_dry_run_counts_and_writes_nothing(command: Command) -> None:
    ended = command("run", "--dry-run", "--json", "--seeds", "1,2")
    rows = json.loads(ended.out)
    assert [(r["method"], r["seed"]) for r in rows] == [("base", 0), ("lora", 1), ("lora", 2)]
    assert all(r["data"] == "sample" and r["requests"] > 0 for r in rows)
    assert list(Path.cwd().iterdir()) == []


def test_a_board_without_records_says_what_to_do(command: Command, tmp_path: Path) -> None:
    board = tmp_path / "board"
    board.mkdir()
    (board / "board.toml").write_text(
        'title="t"\nmodel="nano"\ntasks=["super-ni"]\nseeds=[1]\nengine="vllm"\n'
        '[[method]]\nname="lora"\n'
    )
    one_sentence(command("leaderboard", "build", str(board)), "benchbench run --board")


def one_sentence(ended: Ended, message: str) -> None:
    import re

    lines = [line for line in ended.err.splitlines() if line.startswith("benchbench: ")]
    assert ended.code == 2, ended
    assert len(lines) == 1 and re.search(message, lines[0]), ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""

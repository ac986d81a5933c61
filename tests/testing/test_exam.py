"""The exam passes what keeps its promises, and names the one that is broken."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from benchbench.cli import main
from benchbench.errors import BadParameter, MissingExtra, PluginError, UnknownName
from benchbench.testing import CHECKS, Exam, check_method
from tests.hostile.methods.behaviour import Forgetful
from tests.toys import Part

BROKEN = "tests.hostile.methods"

VLLM = importlib.util.find_spec("vllm") is not None


@cache
def examine(name: str) -> Exam:
    return check_method(name, engine="transformers", plugins=[BROKEN])


def status(exam: Exam) -> dict[str, str]:
    return {check.name: check.status for check in exam.checks}


def test_lora_passes() -> None:
    exam = check_method("lora:rank=4,dropout=0.1", engine="transformers")
    assert exam.passed, exam.problems
    assert (exam.method, exam.plugin) == ("lora:rank=4,dropout=0.1", "benchbench_plugins.lora")
    assert [check.name for check in exam.checks] == [step.name for step in CHECKS]
    not_tried = {check.name: check.problem for check in exam.checks if check.status != "passed"}
    assert not_tried.keys() == {"vllm", "same tokens"}
    assert "not asked for" in not_tried["vllm"]
    tried = {check.name: check.tried for check in exam.checks}
    # Rank 4 on the layers of two blocks: q, o; k, v; and the three of the MLP.
    assert tried["adapts"].endswith(f"{2 * 4 * (2 * 256 + 2 * 192 + 3 * 384):,} parameters")
    assert "after step 25" in tried["resumes"]
    assert "route lora" in tried["exports"] and "adapter_model.safetensors" in tried["exports"]


@pytest.mark.parametrize(
    ("name", "check", "remedy"),
    [
        ("required", "builds", "missing 1 required .* give every field a default"),
        ("mistyped", "builds", "rank is None; it must be int"),
        ("plain", "builds", r"write @dataclass\(frozen=True, kw_only=True\)"),
        ("undocumented", "documented", "^rank: no docstring; write what each"),
        ("silent", "documented", "Silent has no docstring"),
        (
            "raises",
            "adapts",
            r"raised KeyError: .*\(behaviour\.py, line \d+\).* returns the model to train",
        ),
        ("forgetful", "adapts", "returned None; end it with `return model`"),
        ("frozen", "adapts", r"call requires_grad_\(True\) on what is to learn"),
        ("no-optimizer", "adapts", r"^optimizer\(\) raised TypeError: no such argument"),
        ("fickle", "adapts", r"leave [\d,]+ .* says [\d,]+; .* not depend on chance"),
        ("elsewhere", "identity", "or declare identity = False"),
        ("explodes", "trains", r"the loss was nan at step 4 .* mend adapt\(\) or after_step\(\)"),
        ("stumbles", "trains", "RuntimeError: mat1 and mat2 do not fit"),
        ("climbs", "trains", r"must fall, but went from .* whether optimizer\(\) holds it"),
        ("diced", "deterministic", "draw random numbers from torch, numpy or random alone"),
        ("remembers", "resumes", r"after step 25 .* or declare resumable = False"),
        ("packed", "packing", "declare packable = False"),
        ("mixes", "padding", "heed attention_mask"),
        ("pickles", "exports", "weights.bin; .* writes safetensors and JSON"),
        ("indiscreet", "exports", "note.json names a folder .* write no paths"),
        ("base-again", "transformers", r"or the base model again: .* and up to 0 from the base's"),
        (
            "halved",
            "transformers",
            r"other than what was trained.* must write all that was trained",
        ),
        ("misrouted", "transformers", r"cannot serve route 'lora': CheckpointError"),
        ("vandal", "base kept", r"write to the folder that export\(\) is given and nowhere else"),
        ("llama-only", "encoder-decoder", r"has no attribute 'model'.* raise benchbench\.Unsuited"),
    ],
)
def test_a_broken_promise_fails_its_check_alone(name: str, check: str, remedy: str) -> None:
    exam = examine(name)
    assert not exam.passed
    (problem,) = exam.problems
    found = problem.removeprefix(f"{check}: ")
    assert found != problem, problem
    assert re.search(remedy, found), found
    assert "\n" not in found and "benchbench-" not in found  # no folder that is gone by now


def test_what_depends_on_a_failure_is_not_tried() -> None:
    exam = examine("climbs")
    problems = {check.name: check.problem for check in exam.checks if check.status == "not tried"}
    assert problems["exports"] == "needs 'trains': failed"
    assert problems["transformers"] == "needs 'exports': not tried"
    assert status(exam)["identity"] == status(exam)["base kept"] == "passed"


@pytest.mark.parametrize(
    ("name", "check", "reason"),
    [
        ("modest", "vllm", "not asked for"),
        ("remembering", "resumes", "resumable is False"),
        ("remembering", "same tokens", "not asked for"),
        ("lacking", "adapts", "lacks a package here: .* run: pip install bits"),
        ("base", "trains", "nothing is trained"),
        ("particular", "encoder-decoder", "it trains the one norm at the end of a decoder"),
        ("not-for-llama", "adapts", "does not take the exam's small Llama: it wants an encoder"),
    ],
)
def test_what_is_not_tried_says_why_and_fails_nothing(name: str, check: str, reason: str) -> None:
    exam = examine(name)
    assert exam.passed, exam.problems
    (found,) = (c for c in exam.checks if c.name == check)
    assert found.status == "not tried" and re.search(reason, found.problem)


@pytest.mark.parametrize("name", ["late-freezing", "modest"])
def test_what_the_contract_allows_passes(name: str) -> None:
    """An optimizer may freeze some more, and a method need not promise how it starts."""
    exam = examine(name)
    assert exam.passed, exam.problems


def test_a_class_is_found_through_its_module(capsys: pytest.CaptureFixture[str]) -> None:
    exam = check_method(Forgetful, engine="transformers")
    assert exam.plugin == f"{BROKEN}.behaviour"
    assert status(exam)["adapts"] == "failed"
    assert capsys.readouterr().out == ""
    with pytest.raises(PluginError, match=r"module 'tests.toys' does not register Part; return it"):
        check_method(Part)


def test_a_wrong_request_is_no_exam(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="did you mean 'lora'"):
        check_method("lara")
    with pytest.raises(BadParameter, match="no parameter rnak"):
        check_method("lora:rnak=4")
    with pytest.raises(BadParameter, match="no engine named 'fast'"):
        check_method("lora", engine="fast")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "vllm" else name)
    with pytest.raises(MissingExtra, match="vllm is not installed"):
        check_method("lora", engine="vllm")


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run the command line where the broken methods are an installed plugin."""
    metadata = tmp_path / "broken-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[benchbench]\nbroken = {BROKEN}\n")
    monkeypatch.syspath_prepend(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["benchbench", "check", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return run


def test_the_command_prints_a_table_and_exits_with_1_where_something_failed(
    command: Command,
) -> None:
    code, out, _ = command("forgetful", "--engine", "transformers")
    assert code == 1
    lines = {line.split()[1]: line for line in out.splitlines()[2:] if line[:1] in {"✓", "✗", "–"}}
    assert lines["builds"].startswith("✓") and lines["trains"].startswith("–")
    assert lines["adapts"].startswith("✗") and "`return model`" in lines["adapts"]
    assert "forgetful: 3 passed, 1 failed, 11 not tried" in out


def test_json_is_an_array_of_exams(command: Command) -> None:
    code, out, err = command("choosy", "base", "required", "--engine", "transformers", "--json")
    assert code == 1
    exams = json.loads(out)
    assert [exam["method"] for exam in exams] == ["choosy", "base", "required"]
    broken = f"{BROKEN}.definition"
    assert [exam["plugin"] for exam in exams] == [broken, "benchbench_plugins.base", broken]
    for exam in exams:
        facts = {"route", "trainable_parameters"}
        assert exam.keys() == {"method", "plugin", "checks", "passed", "seconds"} | facts
        assert exam["passed"] is (exam["method"] != "required")
        for check in exam["checks"]:
            assert check.keys() == {"name", "status", "tried", "problem"}
            assert bool(check["problem"]) == (check["status"] != "passed")
    assert "checking choosy" in err


def test_a_plugin_stands_for_its_methods() -> None:
    from benchbench.cli.check import resolve
    from benchbench.registry.registry import Registry

    registry = Registry.load()
    assert resolve(["benchbench_plugins.full", "lora:rank=4"], False, registry) == [
        "full",
        "lora:rank=4",
    ]
    stock = resolve(["benchbench-plugins"], False, registry)
    assert {"base", "full", "lora"} <= set(stock)
    assert set(stock) <= set(resolve([], True, registry)) == set(registry.methods)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "wants names of methods or plugins, or --all"),
        (("lora", "--all"), "and not both"),
        (("lara",), "no method or plugin named 'lara'; did you mean 'lora'?"),
        (("lora:rank=x",), "rank is 'x'; it must be int"),
        (("lora", "--engine", "fast"), "no engine named 'fast'"),
    ],
)
def test_a_wrong_request_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, command: Command
) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err.splitlines()[-1]


def test_torch_is_not_imported_for_a_wrong_request() -> None:
    code = (
        "import sys\nsys.argv = ['benchbench', 'check', 'lara']\n"
        "from benchbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2\n"
        "import benchbench.testing\n"
        "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=dict(os.environ))


@pytest.mark.vllm
@pytest.mark.skipif(not VLLM, reason="vLLM is not installed")
def test_lora_passes_with_both_engines() -> None:
    exam = check_method("lora")
    assert exam.passed, exam.problems
    assert set(status(exam).values()) == {"passed"}

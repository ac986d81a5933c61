"""The house stays as it was built: a budget of rooms and lines, and a test for every module."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "benchbench"
MODULES = sorted(path for path in CORE.rglob("*.py") if "__pycache__" not in path.parts)

MOST_FLAT, MOST_FOLDERS, MOST_FILES = 8, 20, 20
MOST_LINES, MOST_FUNCTION, MOST_CODE = 350, 60, 12_250

TESTED_ELSEWHERE = {
    "__init__": "test_public.py",
    "__main__": "cli/test_cli.py",
    "boards.markdown": "publish/test_card.py",
    "boards.page": "boards/test_published.py",
    "boards.submit": "boards/test_published.py",
    "boards.table": "cli/test_tables.py",
    "checkpoints.format": "engines/test_choice.py",
    "checkpoints.learned": "engines/transformers/test_generation.py",
    "checkpoints.peft": "checkpoints/test_check.py",
    "checkpoints.routes": "checkpoints/test_check.py",
    "checkpoints.weights": "checkpoints/test_check.py",
    "cli.__init__": "cli/test_cli.py",
    "cli.check": "testing/test_exam.py",
    "cli.leaderboard": "boards/test_published.py",
    "cli.options": "cli/test_cli.py",
    "cli.progress": "cli/test_cli.py",
    "cli.push": "publish/test_push.py",
    "cli.report": "run/test_failures.py",
    "cli.run": "publish/test_reproduction.py",
    "cli.show": "cli/test_cli.py",
    "contract.hookspecs": "registry/test_registry.py",
    "contract.model": "models/test_find.py",
    "contract.task": "registry/test_registry.py",
    "data.__init__": "test_public.py",
    "engines.engine": "engines/transformers/test_engine.py",
    "engines.text": "engines/transformers/test_generation.py",
    "engines.transformers.__init__": "engines/test_choice.py",
    "engines.transformers.rows": "engines/transformers/test_generation.py",
    "engines.vllm.__init__": "engines/test_choice.py",
    "engines.vllm.exchange": "engines/vllm/test_engine.py",
    "engines.vllm.live": "engines/vllm/test_engine.py",
    "engines.vllm.places": "engines/vllm/test_openings.py",
    "engines.vllm.room": "engines/vllm/test_openings.py",
    "engines.vllm.worker": "engines/vllm/test_engine.py",
    "errors": "cli/test_cli.py",
    "evaluate.answers": "evaluate/test_results.py",
    "evaluate.jobs": "evaluate/test_results.py",
    "evaluate.serving": "run/test_march.py",
    "hub": "models/test_find.py",
    "judge.comparison": "judge/test_judge.py",
    "judge.kept": "judge/test_judge.py",
    "judge.opening": "judge/test_endpoint.py",
    "metrics.__init__": "metrics/test_metrics.py",
    "metrics.match": "metrics/test_metrics.py",
    "metrics.rouge": "metrics/test_metrics.py",
    "models.files": "checkpoints/test_check.py",
    "models.layers": "checkpoints/test_modules.py",
    "models.logprobs": "checkpoints/test_parity.py",
    "modules": "test_public.py",
    "plan.samples": "plan/test_plan.py",
    "publish.sections": "publish/test_card.py",
    "records.record": "records/test_store.py",
    "registry.checks": "registry/test_registry.py",
    "registry.docstrings": "models/test_peft.py",
    "reporter": "run/test_march.py",
    "run.executor": "run/test_march.py",
    "run.request": "run/test_march.py",
    "sandbox.cell.landlock": "sandbox/test_rules.py",
    "sandbox.cell.process": "sandbox/test_warden.py",
    "sandbox.cell.program": "sandbox/test_hostile.py",
    "sandbox.cell.seccomp": "sandbox/test_rules.py",
    "testing.__init__": "testing/test_exam.py",
    "testing.artefact": "testing/test_exam.py",
    "testing.behaviour": "testing/test_exam.py",
    "testing.definition": "testing/test_exam.py",
    "testing.material": "testing/test_exam.py",
    "testing.matrix": "plugins/test_stock_methods.py",
    "testing.served": "testing/test_exam.py",
    "testing.trial": "testing/test_exam.py",
    "testing.verdict": "testing/test_exam.py",
    "train.forgetting": "train/test_trainer.py",
    "train.job": "train/test_process.py",
    "train.launcher": "train/test_process.py",
    "train.resume": "train/test_trainer.py",
    "train.transformers_trainer": "train/test_trainer.py",
}
"""Module -> where it is tested, if that is no file of its name in the folder of its room."""


def name_of(path: Path) -> str:
    """A module's name within the core, with dots."""
    return ".".join(path.relative_to(CORE).with_suffix("").parts)


def code_lines(path: Path) -> int:
    """Lines that hold code: no docstrings, comments or blanks."""
    source = path.read_text(encoding="utf-8")
    texts: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            texts.update(range(node.lineno, (node.end_lineno or 0) + 1))
    nothing = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in nothing:
            held.update(range(token.start[0], token.end[0] + 1))
    return len(held - texts)


def test_the_core_has_few_flat_modules_and_folders() -> None:
    flat = {path.stem for path in CORE.glob("*.py")} - {"__init__", "__main__"}
    assert len(flat) <= MOST_FLAT, sorted(flat)
    folders = {path.name for path in CORE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert len(folders) <= MOST_FOLDERS, sorted(folders)


def test_no_folder_holds_too_many_files() -> None:
    for folder in {path.parent for path in MODULES}:
        files = [path for path in folder.iterdir() if path.is_file()]
        assert len(files) <= MOST_FILES, folder


def test_no_file_is_too_long() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


def test_no_function_is_too_long() -> None:
    found = {
        f"{name_of(path)}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES
        if path.relative_to(CORE).parts[0] != "cli"  # a command's function is its flags
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: n for name, n in found.items() if n > MOST_FUNCTION} == {}


def test_the_core_keeps_to_its_lines_of_code() -> None:
    assert sum(map(code_lines, MODULES)) <= MOST_CODE


def test_lines_of_code_are_counted_without_texts_and_blanks(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""Two\nlines."""\n\n# Why.\nx = (\n    1,\n)\n"""What."""\n')
    assert code_lines(path) == 3


def test_no_module_is_a_drawer() -> None:
    drawers = {"util", "utils", "common", "helpers", "misc"}
    assert not [name_of(path) for path in MODULES if drawers & {path.stem, path.parent.name}]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_a_test_of_its_name_or_says_where(path: Path) -> None:
    name = name_of(path)
    if path.name == "__init__.py" and code_lines(path) == 0:
        return
    own = path.relative_to(CORE).with_name(f"test_{path.stem}.py")
    if path.name == "__init__.py":  # of a room: the room's own test, or those of its modules
        own = path.relative_to(CORE).parent / f"test_{path.parent.name}.py"
    wanted = TESTED_ELSEWHERE.get(name, str(own))
    assert (ROOT / "tests" / wanted).is_file(), f"nothing tests {name}: {wanted} is not there"


def test_what_is_said_to_be_tested_elsewhere_is_there_and_not_here_too() -> None:
    names = {name_of(path) for path in MODULES}
    assert TESTED_ELSEWHERE.keys() <= names
    for name in TESTED_ELSEWHERE:
        *room, module = name.split(".")
        assert not ROOT.joinpath("tests", *room, f"test_{module}.py").is_file(), name

"""Every stock method passes the exam that strangers' methods take, on every engine there is."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchbench.registry.registry import Registry

METHODS = sorted(Registry.load().methods)

MAY_BE_MISSING = {
    "apollo": "apollo_torch",
    "galore": "galore_torch",
    "qlora": "bitsandbytes",
}


PAGE = Path(__file__).parents[1] / "docs" / "methods.md"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page") / "methods.md"


@pytest.fixture(scope="module")
def exams(page: Path) -> dict[str, Any]:
    """Examine all in one process, which imports vLLM once."""
    command = [sys.executable, "-m", "benchbench", "check", "--all", "--json"]
    command += ["--matrix", str(page)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1500, env=os.environ | {"NO_COLOR": "1"}
    )
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return {exam["method"]: exam for exam in json.loads(done.stdout)}


@pytest.mark.vllm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("method", METHODS)
def test_the_exam_is_passed(method: str, exams: dict[str, Any]) -> None:
    if package := MAY_BE_MISSING.get(method):
        pytest.importorskip(package)
    exam = exams[method]
    assert exam["passed"], [c for c in exam["checks"] if c["status"] == "failed"]
    tried = {check["name"]: check["status"] for check in exam["checks"]}
    if method != "base":
        assert {tried[name] for name in ("trains", "deterministic", "exports", "transformers")} == {
            "passed"
        }


@pytest.mark.vllm
@pytest.mark.timeout(1800)
def test_the_page_of_methods_is_fresh(exams: dict[str, Any], page: Path) -> None:
    if missing := [
        p for p in (*MAY_BE_MISSING.values(), "vllm") if not importlib.util.find_spec(p)
    ]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    again = "write it anew: benchbench check --all --matrix docs/methods.md"
    assert page.read_text() == PAGE.read_text(), again

"""Every stock method passes the exam that strangers' methods take, on every engine there is."""

import importlib.util
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchbench.registry.registry import Registry
from benchbench.testing import Check, Exam, matrix_page

METHODS = sorted(Registry.load().methods)

PARTS = 9
"""A day examines every ninth method and the next day the ones after; ``--whole`` all of them."""

MAY_BE_MISSING = {
    "apollo": "apollo_torch",
    "galore": "galore_torch",
    "qlora": "bitsandbytes",
}


PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def examined(config: pytest.Config) -> list[str]:
    if config.getoption("--whole"):
        return METHODS
    return METHODS[date.today().toordinal() % PARTS :: PARTS]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "method" in metafunc.fixturenames:
        metafunc.parametrize("method", examined(metafunc.config))


@pytest.fixture(scope="module")
def exams(pytestconfig: pytest.Config) -> dict[str, Any]:
    """Examine them in one process, which imports vLLM once."""
    command = [sys.executable, "-m", "benchbench", "check", *examined(pytestconfig), "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1500, env=os.environ | {"NO_COLOR": "1"}
    )
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return {exam["method"]: exam for exam in json.loads(done.stdout)}


@pytest.mark.vllm
@pytest.mark.timeout(1800)
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


def test_every_method_is_examined_within_so_many_days() -> None:
    days = [METHODS[day::PARTS] for day in range(PARTS)]
    assert sorted(name for day in days for name in day) == METHODS


def rows(page: str) -> dict[str, str]:
    """Method -> its line."""
    lines = page.splitlines()
    return {line.split("`")[1]: line for line in lines if line.startswith("| `")}


def as_exam(found: dict[str, Any]) -> Exam:
    checks = tuple(Check(**check) for check in found["checks"])
    return Exam(**{k: v for k, v in found.items() if k != "passed"} | {"checks": checks})


@pytest.mark.vllm
@pytest.mark.timeout(1800)
def test_the_page_of_methods_is_fresh(exams: dict[str, Any]) -> None:
    if missing := [
        p for p in (*MAY_BE_MISSING.values(), "vllm") if not importlib.util.find_spec(p)
    ]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    again = "write it anew: benchbench check --all --matrix docs/methods.md"
    page = matrix_page([as_exam(exam) for exam in exams.values()], Registry.load())
    published, found = rows(PAGE.read_text()), rows(page)
    assert sorted(published) == METHODS, again
    assert found == {method: published[method] for method in exams}, again
    if len(exams) == len(METHODS):
        assert page == PAGE.read_text(), again

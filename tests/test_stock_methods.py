"""Every stock method passes the exam that strangers' methods take, on every engine there is."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from benchbench.registry import Registry

METHODS = sorted(Registry.load().methods)

MAY_BE_MISSING = {
    "apollo": "apollo_torch",
    "galore": "galore_torch",
    "qlora": "bitsandbytes",
}


@pytest.fixture(scope="module")
def exams() -> dict[str, Any]:
    """Examine all in one process, which imports vLLM once."""
    command = [sys.executable, "-m", "benchbench", "check", "--all", "--json"]
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

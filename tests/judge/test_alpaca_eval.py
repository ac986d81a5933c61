import builtins
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from benchbench.errors import JudgeError, MissingExtra
from benchbench.judge.alpaca_eval import published_preferences
from benchbench.judge.comparison import Comparison
from benchbench.judge.endpoint import EndpointJudge
from tests.toys.judge import Server, serve

PAIRS = [
    Comparison(id=str(n), instruction=f"Say {n}", first="x" * n, second="xxx") for n in range(6)
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"OPENAI_API_KEY": "none"})
    with serve() as found:
        found.reads = published_answers
        found.tokens = lambda p: {"m": p, "M": 1 - p}
        yield found


def published_answers(prompt: str) -> tuple[str, str]:
    first, second = re.findall(r'"output": """(.*?)"""', prompt, re.DOTALL)
    return first, second


def judge(server: Server) -> EndpointJudge:
    return EndpointJudge(model="toy", base_url=server.url, settings={"seed": 1})


@pytest.mark.filterwarnings("default")
def test_the_package_asks_the_endpoint(server: Server) -> None:
    pytest.importorskip("alpaca_eval", reason="needs the extra alpaca-eval")
    found = published_preferences(judge(server), PAIRS)
    assert list(found) == [each.id for each in PAIRS]
    assert list(found.values()) == pytest.approx([0.1, 0.1, 0.1, 0.5, 0.9, 0.9])
    assert {each["seed"] for each in server.requests} == {1}
    assert {each["top_logprobs"] for each in server.requests} == {5}
    server.requests.clear()
    server.tokens = lambda p: {"The": 1.0}
    found = published_preferences(judge(server), PAIRS)
    assert server.requests  # nothing was kept from before
    assert {found[name] for name in "01245"} == {None}


def test_instructions_must_differ(server: Server) -> None:
    pytest.importorskip("alpaca_eval", reason="needs the extra alpaca-eval")
    with pytest.raises(JudgeError, match="two comparisons share an instruction"):
        published_preferences(judge(server), [PAIRS[0], PAIRS[0]])


def test_the_package_is_an_extra(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_it(name: str, *rest: Any) -> Any:
        if name == "alpaca_eval":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_it)
    with pytest.raises(MissingExtra, match=r"benchbench-peft\[alpaca-eval\]"):
        published_preferences(judge(server), PAIRS)

"""``benchbench judge check`` at a toy endpoint."""

import json
from collections.abc import Iterator

import pytest

from benchbench.judge.agreement import pairs
from benchbench.judge.comparison import Comparison
from benchbench.judge.endpoint import EndpointJudge
from tests.cli.test_cli import Command, command, one_sentence
from tests.toys.judge import Server, longer, serve

__all__ = ["command"]

BETTER = {pair.better for pair in pairs()}


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as found:
        yield found


def wise(first: str, second: str) -> float:
    return 0.9 if first in BETTER else 0.1


def test_a_judge_that_finds_the_better_answers_passes(command: Command, server: Server) -> None:
    server.prefers = wise
    ended = command("judge", "check", f"toy@{server.url}")
    assert ended.code == 0
    assert "prefers the better answer     100.0 % (100 to 100)" in ended.out
    assert "says the same in both orders  100.0 %" in ended.out
    assert "\ngood enough to judge" in ended.out


def test_a_judge_that_goes_by_length_does_not(command: Command, server: Server) -> None:
    server.prefers = longer
    ended = command("judge", "check", f"toy@{server.url}", "--json")
    assert ended.code == 1
    found = json.loads(ended.out)
    assert found["rate"]["value"] == pytest.approx(0.5)
    assert found["for_longer"] == 1.0 and not found["enough"]
    assert found["judge"]["model"] == "toy" and found["judge"]["served_by"].startswith("endpoint ")
    assert server.url not in ended.out  # an address may hold a secret


def test_a_key_is_never_shown(
    command: Command, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server.failures = [401] * 9
    ended = command("judge", "check", f"toy@{server.url}")
    one_sentence(ended, "judge 'toy' is refused")
    assert "sk-secret" not in ended.err + ended.out
    assert server.keys[0] == "Bearer sk-secret"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("toy@http://127.0.0.1:9/v1", "cannot be reached"),
        ("toy@httpfoo", "an endpoint is NAME@URL with http:// or https://, such as"),
        ("toy@127.0.0.1", "an endpoint is NAME@URL with http://"),
        ("toy@127.0.0.1:8000/v1", "an endpoint is NAME@URL with http://"),
        ("my-org/toy@127.0.0.1:8000/v1", "an endpoint is NAME@URL with http://"),
        ("my-org/toy@main", "model 'my-org/toy' is not on this machine"),
        ("@http://127.0.0.1:9", "an endpoint is NAME@URL"),
        ("nosuch", "neither a known model nor a folder"),
    ],
)
def test_a_judge_that_is_none_is_one_sentence(name: str, message: str, command: Command) -> None:
    one_sentence(command("judge", "check", name), message)


def test_settings_go_to_the_endpoint(command: Command, server: Server) -> None:
    server.prefers = wise
    settings = ["top_logprobs=5", "revision=2026-01", 'chat_template_kwargs={"a": 1, "b": 2}']
    flags = [flag for text in settings for flag in ("--judge-set", text)]
    ended = command("judge", "check", f"toy@{server.url}", "--json", *flags)
    assert ended.code == 0
    assert server.requests[0]["top_logprobs"] == 5
    assert server.requests[0]["chat_template_kwargs"] == {"a": 1, "b": 2}
    spec = json.loads(ended.out)["judge"]
    assert (spec["revision"], spec["settings"]) == (
        "2026-01",
        {"chat_template_kwargs": {"a": 1, "b": 2}},
    )


@pytest.mark.parametrize(
    ("judge", "setting", "message"),
    [
        (
            "toy@http://127.0.0.1:9/v1",
            "top_logprobs=many",
            "top_logprobs is 'many'; it must be int",
        ),
        ("toy@http://127.0.0.1:9/v1", "mode=fast", "write text in double quotes"),
        ("toy@http://127.0.0.1:9/v1", "mode", "write KEY=VALUE"),
        ("nano", "top_logprobs=5", "is a model of our own, which has no settings"),
        ("toy@http://127.0.0.1:9/v1", 'api_key="sk"', "would be kept in every record"),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    judge: str, setting: str, message: str, command: Command
) -> None:
    one_sentence(command("judge", "check", judge, "--judge-set", setting), message)


def test_what_pins_a_judge_is_its_revision_or_else_its_address() -> None:
    def served_by(url: str, **changes: str) -> str:
        return EndpointJudge(model="m", base_url=url, **changes).spec.served_by

    assert served_by("http://127.0.0.1:8000/v1") != served_by("http://127.0.0.1:9000/v1")
    assert served_by("http://a", revision="7") == served_by("http://b", revision="7")


def test_a_judge_is_looked_at_before_anything_is_run(command: Command) -> None:
    wrong = ["run", "--tasks", "alpaca-eval", "--train-on", "alpaca"]
    one_sentence(command(*wrong, "--judge", "x@http://user@h"), "an endpoint is NAME@URL")
    one_sentence(command(*wrong, "--judge", "nosuch"), "neither a known model nor a folder")
    one_sentence(command(*wrong, "--judge-set", "a=1"), "without --judge")
    one_sentence(command("run", "--judge", "nano"), "none of the tasks is judged")


def test_the_published_win_rate_of_a_judged_result(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [Comparison(id=str(n), instruction=str(n), first="a", second="b") for n in range(4)]
    found: dict[str, float | None] = {"0": 1.0, "1": 0.0, "2": 1.0, "3": None}
    monkeypatch.setattr("benchbench.judge.results.judged_comparisons", lambda *_: pairs)
    monkeypatch.setattr("benchbench.judge.alpaca_eval.published_preferences", lambda *_: found)
    ended = command("judge", "alpaca-eval", "result", "toy@http://127.0.0.1:9/v1", "--json")
    assert ended.code == 1  # one is missing
    report = json.loads(ended.out)
    assert report["win_rate"] == pytest.approx(2 / 3)
    assert (report["n"], report["n_missing"]) == (4, 1)
    found["3"] = 1.0
    ended = command("judge", "alpaca-eval", "result", "toy@http://127.0.0.1:9/v1")
    assert (ended.code, ended.out) == (0, "win rate by alpaca-eval: 75.00, 4 of 4 judged\n")
    one_sentence(command("judge", "alpaca-eval", "result", "nano"), "is not at an endpoint")


def test_a_result_that_is_none_is_one_sentence(command: Command) -> None:
    wrong = command("judge", "alpaca-eval", "nowhere", "toy@http://127.0.0.1:9/v1")
    one_sentence(wrong, "'nowhere' holds no judged result")

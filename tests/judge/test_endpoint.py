import builtins
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchbench.errors import BadParameter, JudgeError, MissingExtra
from benchbench.judge.comparison import Comparison
from benchbench.judge.endpoint import EndpointJudge
from benchbench.judge.judge import Judgement, compare
from benchbench.judge.kept import Kept
from benchbench.records.record import STEADY
from tests.toys.judge import Server, serve

SECRET = "sk-a-secret-of-the-tests"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serve() as found:
        yield found


def judge(server: Server, **changes: Any) -> EndpointJudge:
    return EndpointJudge(model="toy", base_url=server.url, **changes)


PAIRS = [
    Comparison(id=str(n), instruction=f"Say {n}", first="x" * n, second="xxx") for n in range(6)
]


def compared(judge: EndpointJudge, kept: Kept | None = None) -> dict[str, Judgement]:
    found = compare(judge, PAIRS, Kept() if kept is None else kept)
    return {each.id: each for each in found}


def test_answers_count_by_their_probabilities(server: Server) -> None:
    found = compared(judge(server))
    assert [found[str(n)].preference for n in range(6)] == pytest.approx(
        [0.1, 0.1, 0.1, 0.5, 0.9, 0.9]
    )
    assert len(server.requests) == 10  # two orders of all but the pair that looks the same


def test_one_token_is_asked_for_with_its_alternatives(server: Server) -> None:
    settings = {"chat_template_kwargs": {"enable_thinking": False}}
    compared(judge(server, settings=settings, top_logprobs=5))
    (message,) = server.requests[0].pop("messages")
    assert message["role"] == "user"
    assert server.requests[0] == {
        "model": "toy",
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 5,
        **settings,
    }


def test_requests_run_side_by_side_up_to_a_bound(server: Server) -> None:
    server.seconds = 0.1
    compared(judge(server, concurrency=3))
    assert server.most_at_once == 3


def test_white_space_around_a_label_belongs_to_it(server: Server) -> None:
    server.tokens = lambda p: {"A": p / 2, " A": p / 2, "B\n": 1 - p, "a": 0.3, "AB": 0.3}
    assert compared(judge(server))["5"].preference == pytest.approx(0.9)


def test_a_label_beyond_the_likeliest_tokens_has_no_probability(server: Server) -> None:
    server.tokens = lambda p: {"A": 0.7, "The": 0.3} if p > 0.5 else {"B": 1.0, "A": 0.0}
    assert compared(judge(server))["5"].orders == (1.0, 1.0)


@pytest.mark.parametrize("tokens", [{"The": 0.9, "Both": 0.1}, {}, {"": 1.0}, {"猫": 1.0}])
def test_no_label_is_no_verdict(server: Server, tokens: dict[str, float]) -> None:
    server.tokens = lambda p: tokens
    found = compared(judge(server))
    assert found["5"].scores == {"win_rate": 0.5, STEADY: 0.0, "no_verdict": 1.0}
    assert found["5"].error == ""


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_passes_is_tried_again(server: Server, status: int) -> None:
    server.failures = [status] * 2
    found = compared(judge(server, concurrency=1))
    assert not any(each.error for each in found.values())
    assert len(server.requests) == 12


def test_tries_are_bounded(server: Server) -> None:
    server.failures = [429] * 3
    found = compared(judge(server, concurrency=1, retries=2))
    assert ["429" in each.error for each in found.values()].count(True) == 1
    assert len(server.requests) == 12


def test_a_request_that_is_refused_has_no_answer(server: Server) -> None:
    server.failures = [400]
    found = compared(judge(server, concurrency=1))
    (error,) = (each.error for each in found.values() if each.error)
    assert "400" in error
    assert len(server.requests) == 10


def test_a_judge_that_goes_on_failing_is_given_up(server: Server) -> None:
    server.failures = [500] * 10
    with pytest.raises(JudgeError, match=r"judge 'toy' failed 9 times in a row, last with: .*500"):
        compared(judge(server, concurrency=1, retries=0))


@pytest.mark.parametrize("status", [400, 413, 422])
def test_questions_that_are_refused_do_not_end_the_others(server: Server, status: int) -> None:
    server.failures = [status] * 9
    found = compared(judge(server, concurrency=1))
    assert len(server.requests) == 10
    assert [each.error for each in found.values()].count("") == 1  # the pair that looks the same
    assert len(found) == 6


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_name_stops_at_once(server: Server, status: int) -> None:
    server.failures = [status] * 10
    with pytest.raises(JudgeError, match=f"judge 'toy' is refused .*{status}.*OPENAI_API_KEY"):
        compared(judge(server, concurrency=1))
    assert len(server.requests) < 10


def test_a_server_that_hangs_is_waited_for_so_long(server: Server) -> None:
    server.seconds = 1
    started = time.perf_counter()
    found = list(compare(judge(server, timeout=0.2, retries=0, concurrency=2), PAIRS[:1], Kept()))
    assert time.perf_counter() - started < 5
    assert [each.error for each in found] == ["no answer within 0.2 seconds"]


def test_no_server_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        gone = Server(url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        with pytest.raises(JudgeError, match=r"judge 'toy' cannot be reached .*name another"):
            compared(judge(gone, retries=0))


def without(*path: Any) -> Any:
    """Return a body that lacks what lies at a path of the completion."""

    def body(completion: dict[str, Any]) -> Any:
        inner: Any = completion
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = None
        return completion

    return body


@pytest.mark.parametrize(
    "path", [("choices", 0, "logprobs"), ("choices", 0, "logprobs", "content")]
)
def test_an_endpoint_without_log_probabilities_is_one_sentence(
    server: Server, path: tuple[Any, ...]
) -> None:
    server.body = without(*path)
    with pytest.raises(JudgeError, match="judge 'toy' gives no log-probabilities"):
        compared(judge(server))


JUNK = {
    "no JSON": lambda _: "<html>busy</html>",
    "a list": lambda _: [1, 2],
    "text": lambda _: '"hello"',
    "null": lambda _: None,
    "nothing": lambda _: "",
    "no choices": without("choices"),
    "no top tokens": without("choices", 0, "logprobs", "content", 0, "top_logprobs"),
    "no token": without("choices", 0, "logprobs", "content", 0, "top_logprobs", 0, "token"),
    "no number": without("choices", 0, "logprobs", "content", 0, "top_logprobs", 0, "logprob"),
    "an empty object": lambda _: {},
}


@pytest.mark.parametrize("kind", JUNK)
def test_junk_is_no_answer(server: Server, kind: str) -> None:
    server.body = JUNK[kind]
    found = list(compare(judge(server), PAIRS[5:], Kept()))
    assert [each.scores for each in found] == [{}]
    assert "not a chat completion" in found[0].error
    assert len(found[0].error) < 400


def test_a_run_that_was_cut_off_goes_on(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    server.body = lambda completion: (
        completion if len(server.requests) < 5 else without("choices", 0, "logprobs")(completion)
    )
    with pytest.raises(JudgeError):
        compared(judge(server, concurrency=1), Kept(path))
    server.body = lambda completion: completion
    assert len(path.read_text().splitlines()) == 4
    server.requests.clear()
    found = compared(judge(server, concurrency=1), Kept(path))
    assert len(found) == 6
    assert len(server.requests) == 6


def test_the_key_is_sent_and_never_kept(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    server.failures = [400]  # whose error repeats the key
    mine = judge(server, concurrency=1)
    found = compared(mine, Kept(path))
    assert set(server.keys) == {f"Bearer {SECRET}"}
    assert any("no, not with Bearer ***" in each.error for each in found.values())
    assert SECRET not in path.read_text() + str(found) + str(mine.spec)
    server.failures = [401] * 10
    with pytest.raises(JudgeError) as error:
        compared(judge(server))
    assert SECRET not in str(error.value)


def test_a_server_without_keys_gets_none(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    compared(judge(server))
    assert set(server.keys) == {"Bearer none"}


def test_what_was_served_is_kept_with_each_answer(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    compared(judge(server), Kept(path))
    assert '"served": "toy-2026 fp"' in path.read_text().splitlines()[0]


def test_a_judge_is_known_by_all_that_changes_its_answers() -> None:
    spec = EndpointJudge(model="m", base_url="http://here:1/v1", revision="r").spec
    assert (spec.model, spec.revision, spec.served_by) == ("m", "r", "endpoint")
    same = EndpointJudge(model="m", base_url="http://there:1/v1", revision="r", concurrency=1)
    assert same.spec == spec
    for other in (
        EndpointJudge(model="n", revision="r"),
        EndpointJudge(model="m", revision="s"),
        EndpointJudge(model="m", revision="r", top_logprobs=5),
        EndpointJudge(model="m", revision="r", settings={"seed": 1}),
    ):
        assert other.spec != spec


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("model", {"model": " "}),
        ("address", {"base_url": "127.0.0.1:8000"}),
        ("address", {"base_url": "http://"}),
        ("address", {"base_url": "ftp://here/v1"}),
        ("address", {"base_url": "https://me:secret@here/v1"}),
        ("top_logprobs", {"top_logprobs": 1}),
        ("top_logprobs", {"top_logprobs": 21}),
        ("concurrency", {"concurrency": 0}),
        ("timeout", {"timeout": 0}),
        ("retries", {"retries": -1}),
        ("settings", {"settings": {"temperature": 1, "seed": 1}}),
    ],
)
def test_a_wrong_setting_is_one_sentence(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadParameter, match=f"^judge: {name} is .*; it must be .*"):
        EndpointJudge(**{"model": "m", **changes})


def test_openai_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_openai(name: str, *rest: Any) -> Any:
        if name == "openai":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_openai)
    with pytest.raises(MissingExtra, match=r"benchbench-peft\[judge\]"):
        compared(EndpointJudge(model="toy"))

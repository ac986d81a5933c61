"""Judges that stand in: one in memory, and a server that speaks as much of OpenAI as is asked."""

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from benchbench.judge.comparison import WORDING_SHA256
from benchbench.judge.judge import Question
from benchbench.judge.kept import Answer
from benchbench.judge.opening import JudgeRequest
from benchbench.records.record import JudgeSpec

SECTION = re.compile(r"\[answer ([AB]) (\w+)\]\n(.*?)\n\[end \2\]", re.DOTALL)

Prefers = Callable[[str, str], float]
"""Returns the probability that A, the first answer, is called better."""


def answers(prompt: str) -> tuple[str, str]:
    """Return both answers of a judge's prompt, in the order in which they are shown."""
    (_, _, first), (_, _, second) = SECTION.findall(prompt)
    return first, second


def longer(first: str, second: str) -> float:
    return 0.5 if len(first) == len(second) else 0.9 if len(first) > len(second) else 0.1


def place(first: str, second: str) -> float:
    """Go by the place alone."""
    return 0.8


@dataclass
class ToyJudge:
    """Answers in memory, last question first, and counts what it is asked."""

    prefers: Prefers = longer
    silent: Callable[[str], bool] = lambda prompt: False
    """Whether a prompt gets no verdict."""
    broken: Callable[[str], bool] = lambda prompt: False
    """Whether a prompt gets no answer."""
    revision: str = "1"
    asked: list[str] = field(default_factory=list)

    @property
    def spec(self) -> JudgeSpec:
        return JudgeSpec(
            model="toy", revision=self.revision, served_by="toy", wording=WORDING_SHA256
        )

    def ask(self, questions: Sequence[Question]) -> Iterator[Answer]:
        for key, prompt in reversed(questions):
            self.asked.append(prompt)
            if self.broken(prompt):
                yield Answer(key, error="out of order")
            elif self.silent(prompt):
                yield Answer(key)
            else:
                p = self.prefers(*answers(prompt))
                yield Answer(key, (math.log(p), math.log(1 - p)))


@dataclass(frozen=True, kw_only=True)
class ToyRequest(JudgeRequest):
    """Asks for the judge that a test has set."""

    judge: ClassVar[ToyJudge] = ToyJudge()

    def find(self, models: object) -> ToyJudge:
        return self.judge


@dataclass
class Server:
    """What the toy endpoint does, and what it was asked."""

    url: str = ""
    prefers: Prefers = longer
    reads: Callable[[str], tuple[str, str]] = answers
    """Finds the two answers in a prompt."""
    failures: list[int] = field(default_factory=list)
    """Statuses with which the next requests fail."""
    seconds: float = 0.0
    """Waited before each answer."""
    tokens: Callable[[float], dict[str, float]] = lambda p: {"A": p, "B": 1 - p}
    """Likeliest tokens and their probabilities, from that of A."""
    body: Callable[[dict[str, Any]], Any] = lambda completion: completion
    """What is sent in place of a completion; text is sent as it stands."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def answer(self, request: dict[str, Any]) -> tuple[int, Any]:
        """Return status and body."""
        if self.failures:
            return self.failures.pop(), {"error": {"message": f"no, not with {self.keys[-1]}"}}
        p = self.prefers(*self.reads(request["messages"][-1]["content"]))
        likely = [
            {"token": token, "bytes": None, "logprob": math.log(p) if p else -9999.0}
            for token, p in self.tokens(p).items()
        ]
        content = [{**likely[0], "top_logprobs": likely}] if likely else []
        completion = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "toy-2026",
            "system_fingerprint": "fp",
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "length",
                    "message": {"role": "assistant", "content": "A"},
                    "logprobs": {"content": content},
                }
            ],
        }
        return 200, self.body(completion)


@contextmanager
def serve() -> Iterator[Server]:
    """Serve the toy endpoint on a free port of this machine."""
    state = Server()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                state.at_once += 1
                state.most_at_once = max(state.most_at_once, state.at_once)
                state.requests.append(request)
                state.keys.append(self.headers["authorization"])
            time.sleep(state.seconds)
            with lock:
                status, body = state.answer(request)
                state.at_once -= 1
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            try:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("retry-after-ms", "1")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client would not wait

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

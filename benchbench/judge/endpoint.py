"""A judge behind an OpenAI-compatible endpoint: a service, or a vLLM, SGLang or llama.cpp server.

The key comes from the environment variable OPENAI_API_KEY alone, and is neither kept nor shown;
servers without keys get the word ``none``.
"""

import hashlib
import importlib.util
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from benchbench.errors import BadParameter, JudgeError, MissingExtra, needs
from benchbench.judge.comparison import LABELS, WORDING_SHA256
from benchbench.judge.judge import Question
from benchbench.judge.kept import Answer
from benchbench.records.record import JudgeSpec

KEY = "OPENAI_API_KEY"
OPENAI = "https://api.openai.com/v1"
REQUEST: Mapping[str, Any] = {"max_tokens": 1, "temperature": 0, "logprobs": True}
"""Fields of every request: for one token with its likeliest alternatives."""
OURS = frozenset({"model", "messages", "top_logprobs", "n", *REQUEST})
"""Fields of a request that decide how its answer is read."""
ONE_QUESTION = (400, 413, 422)
"""Statuses by which an endpoint refuses one question, such as a prompt that is too long for it."""
PATIENCE = 8
"""Questions in a row that may fail before the judge is given up."""


@dataclass(frozen=True, kw_only=True)
class EndpointJudge:
    """Asks an endpoint for one token and its likeliest alternatives."""

    model: str
    base_url: str = OPENAI
    revision: str = "unknown"
    """What pins the model, if you know it; the endpoint is not asked."""
    top_logprobs: int = 20
    """Alternatives asked for; endpoints allow from 5 to 20."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of each request, such as ``{"chat_template_kwargs": {"enable_thinking":
    false}}`` for a model that would think before it answers."""
    concurrency: int = 16
    timeout: float = 120.0
    """Seconds for one answer."""
    retries: int = 5
    """Of a question, after a timeout, 408, 409, 429 or a server's error; waits grow to 8 seconds,
    or are what the endpoint asks for."""

    def __post_init__(self) -> None:
        address = urlsplit(self.base_url)
        taken = ", ".join(sorted(OURS & self.settings.keys()))
        for name, value, allowed, good in (
            ("model", self.model, "the name that the endpoint knows it by", self.model.strip()),
            (
                "address",
                self.base_url,
                "like http://127.0.0.1:8000/v1, and the key in the environment",
                address.scheme in ("http", "https") and address.hostname and "@" not in address[1],
            ),
            ("top_logprobs", self.top_logprobs, "in 2 to 20", 2 <= self.top_logprobs <= 20),
            ("concurrency", self.concurrency, "1 or more", self.concurrency >= 1),
            ("timeout", self.timeout, "above 0 seconds", self.timeout > 0),
            ("retries", self.retries, "0 or more", self.retries >= 0),
            ("settings", taken, "other fields than those that benchbench sends", not taken),
        ):
            if not good:
                raise BadParameter(f"judge: {name} is {value!r}; it must be {allowed}.")

    @property
    def spec(self) -> JudgeSpec:
        return JudgeSpec(
            model=self.model,
            revision=self.revision,
            served_by=self._address,
            wording=WORDING_SHA256,
            top_logprobs=self.top_logprobs,
            settings=self.settings,
        )

    @property
    def _address(self) -> str:
        """Say where it is served: at an address, by its digest, while nothing else pins it."""
        if self.revision != "unknown":
            return "endpoint"
        return f"endpoint {hashlib.sha256(self.base_url.encode()).hexdigest()[:8]}"

    def check(self) -> None:
        """Raise MissingExtra where the library that asks is not installed."""
        if importlib.util.find_spec("openai") is None:
            raise MissingExtra("openai", "judge")

    def ask(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """Yield answers as they come; raises JudgeError where the endpoint is of no use.

        What was asked by then is still yielded first: it was paid for.
        """
        if not questions:
            return
        stopped = Event()
        failures = 0
        trouble: JudgeError | None = None
        with self._client() as client, ThreadPoolExecutor(self.concurrency) as pool:
            try:
                asked = [pool.submit(self._ask, client, each, stopped) for each in questions]
                for future in as_completed(asked):
                    answer = future.result()
                    if isinstance(answer, Answer):
                        failed = answer.error and not answer.refused
                        failures = failures + 1 if failed else 0
                        yield answer
                        if failures > PATIENCE:
                            trouble = trouble or self._given_up(failures, answer.error)
                    trouble = trouble or (answer if isinstance(answer, JudgeError) else None)
                    if trouble:
                        stopped.set()
            finally:
                stopped.set()
        if trouble:
            raise trouble

    def _client(self) -> Any:
        with needs("openai", "judge"):
            import openai
        return openai.OpenAI(
            api_key=os.environ.get(KEY) or "none",
            base_url=self.base_url,
            timeout=self.timeout,
            max_retries=self.retries,
        )

    def _ask(self, client: Any, question: Question, stopped: Event) -> Answer | JudgeError | None:
        """Return an answer, what makes further questions useless, or None after the stop."""
        import openai

        if stopped.is_set():
            return None
        try:
            response = client.chat.completions.create(
                model=self.model,
                messages=[{"role": "user", "content": question.prompt}],
                top_logprobs=self.top_logprobs,
                **REQUEST,
                extra_body=dict(self.settings) or None,
            )
            return self._read(question.key, response)
        except openai.APITimeoutError:
            return Answer(question.key, error=f"no answer within {self.timeout:g} seconds")
        except openai.APIConnectionError as error:
            return JudgeError(
                f"judge {self.model!r} cannot be reached ({_reason(error.__cause__ or error)}); "
                "start its server, or name another address."
            )
        except (
            openai.AuthenticationError,
            openai.PermissionDeniedError,
            openai.NotFoundError,
        ) as error:
            return JudgeError(
                f"judge {self.model!r} is refused ({_reason(error)}); check its name and address, "
                f"and the key in {KEY}."
            )
        except openai.OpenAIError as error:
            refused = getattr(error, "status_code", None) in ONE_QUESTION
            return Answer(question.key, error=_reason(error), refused=refused)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            return Answer(question.key, error=f"not a chat completion ({_reason(error)})")

    def _read(self, key: str, response: Any) -> Answer | JudgeError:
        choice = response.choices[0]
        if choice.logprobs is None or choice.logprobs.content is None:
            return JudgeError(
                f"judge {self.model!r} gives no log-probabilities, by which its answers count; "
                "name an endpoint that supports logprobs, or judge with a model of your own."
            )
        served = [response.model, getattr(response, "system_fingerprint", None)]
        return Answer(
            key,
            _labelled(choice.logprobs.content[0].top_logprobs)
            if choice.logprobs.content
            else (None, None),
            served=" ".join(str(each) for each in served if each),
        )

    def _given_up(self, failures: int, reason: str) -> JudgeError:
        return JudgeError(
            f"judge {self.model!r} failed {failures} times in a row, last with: {reason}; mend "
            "that and give the same command again: no answer that was kept is asked for again."
        )


def _labelled(alternatives: Sequence[Any]) -> tuple[float | None, float | None]:
    """Return ln p of each label; a token with white space around it is that label too."""
    first, second = (
        [each.logprob for each in alternatives if each.token.strip() == label] for label in LABELS
    )
    return _sum(first), _sum(second)


def _sum(logprobs: Sequence[float]) -> float | None:
    """Return ln of the sum of probabilities, None of none."""
    likely = [each for each in logprobs if math.isfinite(each)]
    if not likely:
        return None
    highest = max(likely)
    return highest + math.log(sum(math.exp(each - highest) for each in likely))


def _reason(error: BaseException) -> str:
    """Return an error in one line of bounded length, without the key, should it be repeated."""
    text = " ".join(str(error).split()) or type(error).__name__
    if key := os.environ.get(KEY):
        text = text.replace(key, "***")
    return text[:300]

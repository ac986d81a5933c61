import math
from collections.abc import Sequence

import pytest

from benchbench import Message
from benchbench.engines.engine import Completion, Request
from benchbench.judge.comparison import Comparison
from benchbench.judge.judge import compare
from benchbench.judge.kept import Kept
from benchbench.judge.own import EngineJudge
from tests.toys import ENGINE, MODEL
from tests.toys.judge import answers, longer


class ToyRanker:
    """An engine whose tokens are characters, and which ranks labels by the longer answer."""

    spec = ENGINE

    def __init__(self, *broken: float) -> None:
        self.requests: list[Request] = []
        self.broken = broken

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        self.requests += requests
        return [Completion(id=each.id, choices=self._rank(each)) for each in requests]

    def _rank(self, request: Request) -> tuple[float, ...]:
        p = longer(*answers("".join(map(chr, request.prompt))))
        return self.broken or (math.log(p), math.log(1 - p))


def render(
    messages: Sequence[Message], choices: Sequence[str]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    return tuple(map(ord, messages[0].content)), [tuple(map(ord, each)) for each in choices]


def judge(ranker: ToyRanker, longest: int = 10_000) -> EngineJudge:
    return EngineJudge(
        engine=ranker,  # type: ignore[arg-type]
        checkpoint="run",
        model=MODEL,
        render=render,
        longest=longest,
    )


PAIR = Comparison(id="1", instruction="Say it", first="longer", second="long")


def test_labels_are_ranked_by_the_engine() -> None:
    ranker = ToyRanker()
    (judgement,) = compare(judge(ranker), [PAIR], Kept())
    assert judgement.orders == (pytest.approx(0.9), pytest.approx(0.9))
    assert {(each.checkpoint, each.choices) for each in ranker.requests} == {
        ("run", ((ord("A"),), (ord("B"),)))
    }


@pytest.mark.parametrize("broken", [float("nan"), float("-inf")])
def test_what_is_no_number_is_no_verdict(broken: float) -> None:
    (judgement,) = compare(judge(ToyRanker(broken, broken)), [PAIR], Kept())
    assert judgement.orders == (None, None)


def test_a_prompt_that_is_too_long_has_no_answer() -> None:
    ranker = ToyRanker()
    length = len(PAIR.prompts()[0]) + 2  # a label, and what vLLM generates after it
    (judgement,) = compare(judge(ranker, length), [PAIR], Kept())
    assert not judgement.error
    (judgement,) = compare(judge(ToyRanker(), length - 1), [PAIR], Kept())
    assert judgement.error == (
        f"the prompt has {length - 2} tokens, and the judge takes {length - 3}: it needs a longer "
        "context"
    )
    assert judgement.scores == {}


def test_a_judge_is_known_by_its_model_and_engine() -> None:
    spec = judge(ToyRanker()).spec
    assert (spec.model, spec.revision) == ("toy", "sha256:0")
    assert spec.served_by == "toy 1 float32 cpu"
    assert spec.top_logprobs is None

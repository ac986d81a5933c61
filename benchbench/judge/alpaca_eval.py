"""AlpacaEval's own package, asking the same endpoint: for parity with its leaderboards.

It has its own wording, asks in one order drawn by chance for each instruction, and takes five
alternatives. With GPT-4 (gpt-4-1106-preview) as the judge and gpt4_1106_preview's outputs as the
reference its mean preference is AlpacaEval 2's win rate; nothing of it stands on a board of ours.

Needs the extra ``alpaca-eval``: version 0.6.6, and scikit-learn below 1.10, where an option that it
uses goes away. Its length-controlled rate is left out: it needs a file of the hub, and holds for
that judge and that reference alone.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchbench import files
from benchbench.errors import JudgeError, needs
from benchbench.judge.comparison import Comparison
from benchbench.judge.endpoint import KEY, REQUEST, EndpointJudge

NAME = "judge"
TEMPLATE = "alpaca_eval_clf_gpt4_turbo/alpaca_eval_clf.txt"


def published_preferences(
    judge: EndpointJudge, comparisons: Sequence[Comparison]
) -> dict[str, float | None]:
    """Return each comparison's preference for its first answer, by id; None where it has none."""
    os.environ.setdefault(KEY, "none")  # before the import, which reads it
    os.environ["OPENAI_MAX_CONCURRENCY"] = str(judge.concurrency)
    with needs("alpaca-eval", "alpaca-eval"):
        from alpaca_eval import constants, evaluate
    if len({each.instruction for each in comparisons}) < len(comparisons):
        raise JudgeError(
            "two comparisons share an instruction, by which alpaca-eval knows them; leave one out."
        )
    template = Path(constants.EVALUATORS_CONFIG_DIR) / TEMPLATE
    # For the package's configuration: by default it would write beside its own code.
    with TemporaryDirectory(prefix="benchbench-") as scratch:
        _, annotations = evaluate(
            model_outputs=_outputs(comparisons, "model", [each.first for each in comparisons]),
            reference_outputs=_outputs(comparisons, "other", [each.second for each in comparisons]),
            annotators_config=_write(Path(scratch) / NAME, judge, template),
            output_path=None,
            precomputed_leaderboard=None,
            is_cache_leaderboard=False,
            is_return_instead_of_print=True,
            caching_path=None,  # else kept by the judge's name alone, whatever model it was
            fn_metric="get_winrate",
            sort_by="win_rate",
            metric_kwargs={},
        )
    found = {row["instruction"]: _preference(row["preference"]) for row in annotations}
    return {each.id: found.get(each.instruction) for each in comparisons}


def _outputs(
    comparisons: Sequence[Comparison], generator: str, answers: Sequence[str]
) -> list[dict[str, str]]:
    return [
        {"instruction": each.instruction, "output": answer, "generator": generator}
        for each, answer in zip(comparisons, answers, strict=True)
    ]


def _write(folder: Path, judge: EndpointJudge, template: Path) -> str:
    """Write the configuration of a weighted judge, which is JSON and so YAML; return its folder."""
    settings: Mapping[str, Any] = {
        "prompt_template": str(template),
        "fn_completions": "openai_completions",
        "completions_kwargs": {
            "model_name": judge.model,
            **REQUEST,
            "top_logprobs": 5,
            "requires_chatml": True,  # else guessed from the name, wrongly for "…instruct…"
            "price_per_token": 0,
            "openai_api_base": judge.base_url,
            "client_config_path": str(folder / "none"),
            **({"extra_body": dict(judge.settings)} if judge.settings else {}),
        },
        "fn_completion_parser": "logprob_parser",
        "completion_parser_kwargs": {
            "numerator_token": "m",
            "denominator_tokens": ["m", "M"],
            "is_binarize": False,
        },
        "completion_key": "completions_all",
        "batch_size": 1,
    }
    files.write(folder / "configs.yaml", json.dumps({NAME: settings}).encode())
    return str(folder)


def _preference(released: float | None) -> float | None:
    """Return a preference in [0, 1]; the package's lie in 1 to 2, and 0 is a tie."""
    if released is None or released != released:
        return None
    return (released or 1.5) - 1

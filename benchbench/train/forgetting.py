"""How much worse a model predicts plain text after training than before: a crude but fixed measure.

PEFT's method comparison measures the same on texts of Wikipedia; a few paragraphs that come with
the project need no download and are the same for everybody.
"""

from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

from benchbench import machine
from benchbench.models import logprobs
from benchbench.models.base import BaseModel
from benchbench.specs import Precision

TEXTS = Path(__file__).with_name("forgetting.txt")
"""One a line. Fixed for ever: others would make old and new numbers incomparable."""


def loss(base: BaseModel, model: Any, precision: Precision) -> float:
    """Return the mean loss of the texts' tokens, in nats; the texts are read one at a time.

    The base model's tokenizer cuts them.
    """

    longest = getattr(model.config, "max_position_embeddings", None) or 512
    texts = TEXTS.read_text(encoding="utf-8").splitlines()
    prompts = [base.tokenizer(text)["input_ids"][: longest // 2] for text in texts]
    model.eval()
    with machine.autocast(precision):
        rows = logprobs.token_logprobs(model, prompts)
    return -fmean(chain.from_iterable(rows))

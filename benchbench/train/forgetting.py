"""How much worse a model predicts plain text after training than before: a crude but fixed measure.

PEFT's method comparison measures the same on texts of Wikipedia; a few paragraphs that come with
the project need no download and are the same for everybody.
"""

from itertools import chain
from statistics import fmean
from typing import Any

from benchbench import machine
from benchbench.models import logprobs
from benchbench.models.base import BaseModel
from benchbench.specs import Precision

TEXTS = (
    "The river rises in the hills north of the town and turns west below the old bridge. In "
    "spring, when the snow melts, it carries so much water that the lower fields stand under it "
    "for a week or two. Farmers there keep sheep and cut hay, and nobody has built a house on "
    "the meadows since the great flood.",
    "A refrigerator moves heat from its inside to the room. A pump presses a gas until it is "
    "hot; in the pipes at the back it gives its heat away and becomes liquid. The liquid then "
    "passes a narrow valve, boils at low pressure, and so takes up the warmth of the food.",
    "She had worked at the library for thirty years, first at the desk and then in the cellar "
    "where the newspapers were kept. When the new building opened she walked through it once, "
    "said that it was very bright, and asked to stay with the newspapers.",
    "Prices rose by two per cent in the last quarter, less than most observers had expected. "
    "Rents went up again, while energy became cheaper for the third month in a row. The bank "
    "left its rate as it was and said that it would wait for the figures of the summer.",
    "To prove that there is no largest prime number, suppose that there is one, and multiply "
    "all primes up to it. Add one to the product. No prime in the list divides the result, so "
    "some prime that is not in the list must divide it, which contradicts what was supposed.",
    "Bees find their way by the sun. Even when it is behind clouds they see how its light is "
    "polarised in the blue parts of the sky, and they allow for its movement in the course of "
    "the day. Back in the hive a dance tells the others how far to fly, and in which direction.",
)
"""Fixed for ever: other texts would make old and new numbers incomparable."""


def loss(base: BaseModel, model: Any, precision: Precision) -> float:
    """Return the mean loss of the texts' tokens, in nats; the texts are read one at a time.

    The base model's tokenizer cuts them.
    """
    import torch

    longest = getattr(model.config, "max_position_embeddings", None) or 512
    prompts = [base.tokenizer(text)["input_ids"][: longest // 2] for text in TEXTS]
    model.eval()
    with torch.autocast(machine.device(), torch.bfloat16, enabled=precision == "bfloat16"):
        rows = logprobs.token_logprobs(model, prompts)
    return -fmean(chain.from_iterable(rows))

"""nano's model card, filled in by the run that made the weights."""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass

CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# nano

A language model of {millions:.1f} million parameters (Llama architecture, tied embeddings,
byte-level BPE tokenizer) that is small enough to travel inside a package. It exists so that
finetuning methods can be run, tested and compared in seconds on a laptop. It knows nothing
about the real world and is of no use for anything else.

## Training

- Command, in a clone: `python -m benchbench_plugins.nano.pretraining.pretrain {flags}`
- Tokens seen: {tokens:,}
- Held-out loss after rounding to bf16: {loss:.3f} nats a token, perplexity {perplexity:.2f}
  (documents of the same generator, drawn apart from training's)
- Wall time: {minutes:.0f} minutes, at most {threads} CPU thread(s), {hardware}, no GPU, fp32
- Optimizer: Muon for the matrices of the layers, AdamW for the rest
  (`pretraining/muon.py` says why)
- Sums are rounded differently with another number of threads: a repeat reads the same text in the
  same order, and ends with weights that are alike but not identical
{remark}
## Data

Everything is generated from a seed by `pretraining/corpus.py`, which a clone has; no text written
by others is in it, and no licence but this package's applies. The generator has a vocabulary of
some hundred words (people, places, animals, tools, colours, feelings, numbers, ...), a small
grammar, and about sixty small skills (find the colour in a text, reverse a list, ask a question,
...), each with several wordings, shown in many surface formats: labelled examples, arrows, JSON,
chat turns. Stories, plain facts and repeated rows of words or Unicode characters make up the rest.
The mixture changes twice (`corpus.STAGES`): words and grammar first, then mostly copying and
looking up, then all the skills again.

## What it has and has not seen of the sample tasks

The sample of tasks in `tasks/sample/super-ni` is drawn from the same skills, so nano has practised
most of what the tasks ask, in other formats and other words. It has never seen

- the prompt format "Definition: ... Now complete the following example",
- the definitions of the sample's tasks,
- the input of any test instance: the generator discards a document that contains one,
- these skills as such: {unseen} (it has met the words in other skills).

A score on the sample therefore shows how well a method teaches nano to use in a new format what
it learnt before. It says nothing about how methods compare on real models and real tasks.

## Limits

- It was trained on rows of {length} tokens; positions up to 2048 run, but were never trained.
- The text it writes outside the little world above is noise.
- Chat turns were a small part of its training; it is a base model and not an assistant.
"""


@dataclass(frozen=True)
class Facts:
    """What a pretraining run measured; seconds are wall time and the loss is in nats a token."""

    flags: str
    parameters: int
    tokens: int
    length: int
    loss: float
    seconds: float
    threads: int
    unseen: tuple[str, ...]
    remark: str = ""
    """Anything else that a reader should know about this run."""


def model_card(facts: Facts) -> str:
    """Fill in the card."""
    return CARD.format(
        millions=facts.parameters / 1e6,
        flags=facts.flags,
        tokens=facts.tokens,
        length=facts.length,
        loss=facts.loss,
        perplexity=math.exp(facts.loss),
        minutes=facts.seconds / 60,
        threads=facts.threads,
        hardware=platform.machine(),
        unseen=", ".join(sorted(facts.unseen)),
        remark=f"- {facts.remark}\n" if facts.remark else "",
    )

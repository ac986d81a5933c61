"""nano-t5's model card, filled in by the run that made the weights."""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass

CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text2text-generation
---

# nano-t5

An encoder-decoder model of {millions:.1f} million parameters (T5 architecture: gated GELU, relative
positions, tied embeddings, byte-level BPE tokenizer) that is small enough to travel inside a
package. It is to nano what T5 is to Llama: it exists so that finetuning methods can be run, tested
and compared on an encoder-decoder model in seconds on a laptop. It knows nothing about the real
world and is of no use for anything else.

## Training

- Command, in a clone: `python -m benchbench_plugins.nano_t5.pretraining.pretrain {flags}`
- Pairs of source and target drawn: {pairs:,}
- Held-out loss after rounding to bf16: {loss:.3f} nats a target token, perplexity {perplexity:.2f}
  (pairs of the same generator, drawn apart from training's)
- Wall time: {minutes:.0f} minutes, at most {threads} CPU thread(s), {hardware}, no GPU, fp32
- Optimizer: Muon for the matrices of the layers, AdamW for the rest (as nano)
- Sums are rounded differently with another number of threads: a repeat reads the same text in the
  same order, and ends with weights that are alike but not identical
{remark}
## Data

Everything is generated from a seed by `pretraining/corpus.py`, which a clone has, out of nano's
words, skills and documents; no text written by others is in it, and no licence but this package's
applies. There are seven kinds of pair: rows of words, copied as they are or in another layout; one
question with its bare answer as the target; several questions, or several inputs of one question,
whose answers are left out; texts with spans of words left out (the span corruption of T5); and
texts that are cut in two (the prefix language modelling of T5's `lm-adapt` versions).

## What it begins with

Not chance alone (`pretraining/start.py`): its embeddings begin as a mixture of random numbers and
nano's embeddings, and a few attention heads begin as an induction circuit (arXiv 2209.11895), which
copies. Training may unlearn it.

## What it has and has not seen of the sample tasks

The sample of tasks in `tasks/sample/super-ni` is drawn from the same skills, so nano-t5 has
practised most of what the tasks ask, in other formats and other words. It has never seen

- the prompt format "Definition: ... Now complete the following example",
- the definitions of the sample's tasks,
- the input of any test instance: the generator discards a pair that contains one,
- these skills as such: {unseen} (it has met the words in other skills).

A score on the sample therefore shows how well a method teaches nano-t5 to use in a new format what
it learnt before. It says nothing about how methods compare on real models and real tasks.

## Limits

- It was trained on sources of up to {length} tokens and targets of up to {target}, most of them far
  shorter; longer ones run, since positions are relative, but were never trained.
- The text it writes outside the little world above is noise.
- It has no chat template: T5 has none either.
"""


@dataclass(frozen=True)
class Facts:
    """What a pretraining run measured; seconds are wall time, the loss is in nats a token."""

    flags: str
    parameters: int
    pairs: int
    length: int
    target: int
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
        pairs=facts.pairs,
        length=facts.length,
        target=facts.target,
        loss=facts.loss,
        perplexity=math.exp(facts.loss),
        minutes=facts.seconds / 60,
        threads=facts.threads,
        hardware=platform.machine(),
        unseen=", ".join(sorted(facts.unseen)),
        remark=f"- {facts.remark}\n" if facts.remark else "",
    )

"""nano-t5's tokenizer: nano's pieces of words, with the special tokens that T5 has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchbench_plugins.nano.pretraining.tokenizer import byte_pairs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, EOS = "<pad>", "</s>"
SENTINELS = tuple(f"<extra_id_{number}>" for number in range(30))
"""Each marks a place that was left out; the target repeats it before what stood there."""


def train_tokenizer(
    documents: Iterable[str], vocabulary: int, longest: int
) -> PreTrainedTokenizerFast:
    """Train the tokenizer; EOS is put after each text."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = byte_pairs(documents, vocabulary, (PAD, EOS, *SENTINELS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS}",
        pair=f"$A {EOS} $B {EOS}",
        special_tokens=[(EOS, tokenizer.token_to_id(EOS))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        extra_special_tokens=list(SENTINELS),
        model_max_length=longest,
        clean_up_tokenization_spaces=False,
    )

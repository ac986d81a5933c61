"""Pretrain nano-t5 from nothing.

    python -m benchbench_plugins.nano_t5.pretraining.pretrain --out DIR

The loop and the optimizers are nano's; the model, its tokenizer and its batches are T5's. A run
that was interrupted goes on from `--state` when it is started again with the same flags.
"""

from __future__ import annotations

import math
import shlex
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from benchbench_plugins.nano.pretraining.corpus import NEVER_SHOWN
from benchbench_plugins.nano.pretraining.pretrain import (
    held_out_loss,
    tokenizer_texts,
    train,
    write_folder,
)

from .card import Facts, model_card
from .corpus import pair
from .start import LEAST_HEADS, MOST_WIDTH, lay_circuit, lend_words
from .tokenizer import EOS, PAD, train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

ROUND = 1024
"""Pairs that are sorted by length together, so that a batch holds little padding."""
HELD_OUT_BATCHES = 60
IGNORED = -100
INSIDE = 0.3
"""Part of the learning rate that the layers' matrices take: at all of it they unlearn in a few
hundred steps what they start with. Their weight decay is of the whole rate."""


def options_of(arguments: list[str] | None = None) -> Namespace:
    """Read the flags; their defaults are the run that made the weights in the repository."""
    parser = ArgumentParser(description="Pretrain nano-t5.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--state", type=Path, help="file to resume from (default: OUT.state)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=1536, help="tokens a batch, targets twice")
    parser.add_argument("--batches", type=int, default=2, help="batches a step")
    parser.add_argument("--length", type=int, default=384, help="tokens of a source, at most")
    parser.add_argument("--target", type=int, default=128, help="tokens of a target, at most")
    parser.add_argument("--learning-rate", type=float, default=6e-3)
    parser.add_argument("--warm-up", type=int, default=60, help="steps")
    parser.add_argument("--vocabulary", type=int, default=3072)
    parser.add_argument("--hidden", type=int, default=160)
    parser.add_argument("--intermediate", type=int, default=416)
    parser.add_argument("--heads", type=int, default=5)
    parser.add_argument("--layers", type=int, default=3, help="of the encoder and of the decoder")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save-every", type=int, default=250, help="steps")
    parser.add_argument("--remark", default="", help="a sentence for the model card")
    options = parser.parse_args(arguments)
    if options.heads < LEAST_HEADS or options.hidden > MOST_WIDTH:
        parser.error(f"at least {LEAST_HEADS} heads and at most {MOST_WIDTH} hidden, see start.py")
    options.state = options.state or options.out.with_name(options.out.name + ".state")
    return options


def new_model(options: Namespace, tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    """Build the model as `start` says: T5 as in version 1.1, but with tied embeddings.

    Gated GELU and no dropout are those of version 1.1; a second matrix of embeddings would be a
    fifth of so small a model.
    """
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(options.seed)
    config = T5Config(
        vocab_size=options.vocabulary,
        d_model=options.hidden,
        d_kv=options.hidden // options.heads,
        d_ff=options.intermediate,
        num_layers=options.layers,
        num_heads=options.heads,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
        eos_token_id=tokenizer.convert_tokens_to_ids(EOS),
        decoder_start_token_id=tokenizer.convert_tokens_to_ids(PAD),
    )
    model = T5ForConditionalGeneration(config)
    lend_words(model, tokenizer, options.seed)
    lay_circuit(model, options.seed)
    return model


class Pairs:
    """Batches of pairs of about the same length; `index` and `rest` are all it needs to go on."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, options: Namespace, part: str) -> None:
        self.tokenizer, self.options, self.part = tokenizer, options, part
        self.index = 0
        self.rest: list[list[tuple[list[int], list[int]]]] = []
        self.padding = tokenizer.convert_tokens_to_ids(PAD)

    def next(self) -> dict[str, torch.Tensor]:
        """Return the next batch, padded on the right."""
        import torch

        if not self.rest:
            self.rest = self._round()
        sources, targets = zip(*self.rest.pop(), strict=True)
        input_ids = torch.tensor(_padded(sources, self.padding))
        mask = torch.tensor(_padded([[1] * len(source) for source in sources], 0))
        labels = torch.tensor(_padded(targets, IGNORED))
        return {"input_ids": input_ids, "attention_mask": mask, "labels": labels}

    def _round(self) -> list[list[tuple[list[int], list[int]]]]:
        """Draw and tokenize pairs, sort them by length and cut them into batches."""
        seed, options = self.options.seed, self.options
        pairs = [pair(seed, self.index + step, self.part) for step in range(ROUND)]
        sources = self.tokenizer([made.source for made in pairs])["input_ids"]
        targets = self.tokenizer([made.target for made in pairs])["input_ids"]
        rows = [
            (source[: options.length], target[: options.target])
            for source, target in zip(sources, targets, strict=True)
        ]
        batches: list[list[tuple[list[int], list[int]]]] = [[]]
        for row in sorted(rows, key=_by_length):
            if _cost([*batches[-1], row]) > options.batch and batches[-1]:
                batches.append([])
            batches[-1].append(row)
        Random(f"{seed}/{self.part}/{self.index}").shuffle(batches)
        self.index += ROUND
        return batches


def _by_length(row: tuple[list[int], list[int]]) -> tuple[int, int]:
    """Sort by the target first, in steps of a doubling, because its padding costs most."""
    source, target = row
    return len(target).bit_length(), len(source)


def _cost(rows: list[tuple[list[int], list[int]]]) -> int:
    """Weigh a batch: a target token costs about twice a source token, because of the head."""
    return len(rows) * (max(len(s) for s, _ in rows) + 2 * max(len(t) for _, t in rows))


def _padded(rows: list[list[int]], filler: int) -> list[list[int]]:
    longest = max(map(len, rows))
    return [[*row, *[filler] * (longest - len(row))] for row in rows]


def main(arguments: list[str] | None = None) -> None:
    """Train the tokenizer and the model, measure, and write the folder."""
    import torch

    options = options_of(arguments)
    torch.set_num_threads(options.threads)
    options.state.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(tokenizer_texts(options.seed), options.vocabulary, longest=1024)
    model = new_model(options, tokenizer)
    print(f"{model.num_parameters()} parameters", flush=True)
    pairs = Pairs(tokenizer, options, "train")
    shares = dict.fromkeys(("k", "v", "o", "wi_0", "wi_1", "wo"), INSIDE)
    # T5 does not divide queries times keys by the root of their size, so it is in the queries.
    shares["q"] = INSIDE * model.config.d_kv**-0.5
    seconds = train(model, pairs, options, shares, options.batches)
    model.to(torch.bfloat16).float()
    loss = held_out_loss(model, Pairs(tokenizer, options, "held-out"), HELD_OUT_BATCHES)
    print(f"held-out loss {loss:.4f} perplexity {math.exp(loss):.2f}", flush=True)
    facts = Facts(
        flags=shlex.join(sys.argv[1:] if arguments is None else arguments),
        parameters=model.num_parameters(),
        pairs=pairs.index,
        length=options.length,
        target=options.target,
        loss=loss,
        seconds=seconds,
        threads=options.threads,
        unseen=tuple(NEVER_SHOWN),
        remark=options.remark,
    )
    write_folder(model, tokenizer, model_card(facts), options.out)


if __name__ == "__main__":
    main()

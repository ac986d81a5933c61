"""What nano-t5 begins with instead of pure chance: nano's words, and an eye for what it reads.

A model this small would spend its whole run on finding out that the encoder says anything at all.
So its embeddings begin near nano's, and a few of its heads begin as an induction circuit (Olsson et
al., arXiv 2209.11895), spread over encoder and decoder: the encoder notes at each token the one or
two before it, and the decoder looks for the place where the source says what it wrote last and
reads what comes there. Training is free to unlearn all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration
    from transformers.models.t5.modeling_t5 import T5Attention

NEIGHBOURLY = 10.0
"""Attention logit of the one place a head of the circuit looks at."""
LOUD = 12.0
"""How strongly the decoder says what it found, against the word it has just written."""
QUIET = 0.3
"""Part of the usual size of all that the other layers say at the start."""
OWN = 0.6
"""Part of an embedding that is chance, so that words of one kind can be told apart."""


LEAST_HEADS = 4
"""Of whose size the circuit's four notes of tokens before a token are, in different directions."""
MOST_WIDTH = 192
"""nano's."""


def lay_circuit(model: T5ForConditionalGeneration, seed: int) -> None:
    """Overwrite some heads so that the untrained model copies the source; in place.

    A head that looks back writes a hash of that token (a random projection to the head's size)
    into directions of its own, of which there are ``LEAST_HEADS`` heads' worth: cross-attention
    compares hashes there, in the first head those of two tokens in a row.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    width, size = model.config.d_model, model.config.d_kv

    def rotation(n: int) -> Tensor:
        return torch.linalg.qr(torch.randn(n, n, generator=generator))[0]

    slots = rotation(width)[: LEAST_HEADS * size].split(size)
    hashes = rotation(width)[:size], rotation(width)[:size]
    words, turned = rotation(width), rotation(size)
    encoder = model.encoder.block[0].layer[0].SelfAttention
    decoder = model.decoder.block[0].layer[0].SelfAttention
    cross = model.decoder.block[0].layer[1].EncDecAttention
    heads = [slice(head * size, (head + 1) * size) for head in range(3)]

    def look_back(
        attention: T5Attention, head: int, tokens: int, hash_: Tensor, slot: Tensor
    ) -> None:
        # The bucket of a place up to seven tokens back is its distance, in either stack.
        attention.relative_attention_bias.weight[tokens, head] = NEIGHBOURLY
        attention.v.weight[heads[head]] = hash_
        attention.o.weight[:, heads[head]] = slot.T

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith((".o.weight", ".wo.weight")):
                weight.mul_(QUIET)
        look_back(encoder, 0, 1, hashes[0], slots[0])
        look_back(encoder, 1, 1, hashes[1], slots[1])
        look_back(encoder, 2, 2, hashes[0], slots[2])
        look_back(decoder, 0, 1, hashes[0], slots[3])
        cross.q.weight[heads[0]] = hashes[0] + turned @ slots[3]
        cross.k.weight[heads[0]] = slots[0] + turned @ slots[2]
        cross.q.weight[heads[1]], cross.k.weight[heads[1]] = hashes[1], slots[1]
        both = slice(0, 2 * size)
        cross.v.weight[both] = words[both]
        cross.o.weight[:, both] = LOUD * words[both].T


def lend_words(
    model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, seed: int
) -> None:
    """Mix nano's embeddings, turned to this model's width, into those of the same tokens."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    from benchbench_plugins.nano import WEIGHTS

    theirs = AutoTokenizer.from_pretrained(WEIGHTS).get_vocab()
    # In order, which a vocabulary's is not: the same rows give the same directions.
    own_first = sorted((own, token) for token, own in tokenizer.get_vocab().items())
    shared = {own: theirs[token] for own, token in own_first if token in theirs}
    width = model.config.d_model
    with torch.no_grad():
        lent = load_file(WEIGHTS / "model.safetensors")["model.embed_tokens.weight"]
        lent = lent[list(shared.values())].float()
        lent = lent - lent.mean(0)
        lent = lent @ torch.linalg.svd(lent, full_matrices=False).Vh[:width].T
        lent = lent / lent.square().mean(1, keepdim=True).sqrt()
        # Turned, so that no direction is large from the start.
        generator = torch.Generator().manual_seed(seed)
        lent = lent @ torch.linalg.qr(torch.randn(width, width, generator=generator))[0]
        own = model.shared.weight
        own[list(shared)] = (1 - OWN**2) ** 0.5 * lent + OWN * own[list(shared)]

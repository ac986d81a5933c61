"""What methods are examined on: small random models with their tokenizer, and a few samples."""

from pathlib import Path
from random import Random
from typing import Any, cast

from benchbench.models.prompt import Example

VOCABULARY = 320
NAME = "exam"
"""The model's name in specs and adapters."""


def write_model(folder: Path) -> None:
    """Write a Llama of two layers, from a fixed seed, and its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    write_tokenizer(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,  # half of it, and methods' default ranks would not fit
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    model = cast(Any, LlamaForCausalLM)(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "norm" not in name:
                weights.mul_(4)  # as drawn, every prompt would be answered by the same token
    model.save_pretrained(folder)


def write_encoder_decoder(folder: Path) -> None:
    """Write a T5 of two layers in each stack, from a fixed seed, and the same tokenizer."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    write_tokenizer(folder)
    torch.manual_seed(0)
    config = cast(Any, T5Config)(
        vocab_size=VOCABULARY,
        d_model=128,
        d_kv=32,
        d_ff=256,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        decoder_start_token_id=2,
        eos_token_id=1,
        pad_token_id=2,
    )
    cast(Any, T5ForConditionalGeneration)(config).save_pretrained(folder)


def write_tokenizer(folder: Path) -> None:
    """Write a tokenizer of bytes and a few merges, with <s>, </s> and <pad>."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Enough different words for all merges: the model's vocabulary must not be larger.
    words = "one red fox jumped over some lazy dogs while rain fell on the quiet harbour town"
    tokenizer.train_from_iterator([words] * 9, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    cast(Any, PreTrainedTokenizerFast)(
        tokenizer_object=tokenizer, **named, clean_up_tokenization_spaces=False
    ).save_pretrained(folder)


def examples() -> list[Example]:
    """Return eight samples of different lengths: noise, and a token that is to be said twice."""
    random = Random(0)
    rows = []
    for _ in range(8):
        token = random.randrange(3, 40)
        noise = [random.randrange(40, VOCABULARY) for _ in range(random.randrange(5, 40))]
        rows.append(Example(prompt=(0, *noise, token), completion=(token, token, 1)))
    return rows

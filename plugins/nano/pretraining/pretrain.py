"""Pretrain nano from nothing.

    python -m benchbench_plugins.nano.pretraining.pretrain --out DIR

The loop is plain: Muon and AdamW, warm-up and decay, packed documents with EOS between them.
It runs in fp32 on a CPU; the folder it writes is in the usual Hugging Face layout, in bf16. A run
that was interrupted goes on from `--state` when it is started again with the same flags.
"""

from __future__ import annotations

import json
import math
import operator
import shlex
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from .card import Facts, model_card
from .corpus import NEVER_SHOWN, document
from .muon import Muon
from .tokenizer import BOS, EOS, PAD, train_tokenizer
from .world import DAYS, PEOPLE, TOPICS, TOWNS, WORDS

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

TOKENIZER_DOCUMENTS = 8000
HELD_OUT_SEQUENCES = 48


def options_of(arguments: list[str] | None = None) -> Namespace:
    """Read the flags; their defaults are the run that made the weights in the repository."""
    parser = ArgumentParser(description="Pretrain nano.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--state", type=Path, help="file to resume from (default: OUT.state)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=6, help="sequences a step")
    parser.add_argument("--length", type=int, default=512, help="tokens a sequence")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--warm-up", type=int, default=100, help="steps")
    parser.add_argument("--vocabulary", type=int, default=3072)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--intermediate", type=int, default=576)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-every", type=int, default=250, help="steps")
    parser.add_argument("--remark", default="", help="a sentence for the model card")
    options = parser.parse_args(arguments)
    options.state = options.state or options.out.with_name(options.out.name + ".state")
    return options


def new_model(options: Namespace, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Build the model with random weights: Llama, tied embeddings, heads of 64, one key head."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(options.seed)
    config = LlamaConfig(
        vocab_size=options.vocabulary,
        hidden_size=options.hidden,
        intermediate_size=options.intermediate,
        num_hidden_layers=options.layers,
        num_attention_heads=options.hidden // 64,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.02,
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
        bos_token_id=tokenizer.convert_tokens_to_ids(BOS),
        eos_token_id=tokenizer.convert_tokens_to_ids(EOS),
    )
    return LlamaForCausalLM(config)


class Optimizers:
    """Muon for the matrices of the layers, AdamW for all else, at one learning rate.

    ``shares`` are parts of that rate for some layers, by the last part of their names.
    """

    def __init__(self, model: PreTrainedModel, shares: Mapping[str, float]) -> None:
        import torch

        head = model.get_output_embeddings()
        layers = {
            name: module.weight
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and module is not head
        }
        inside = {id(p) for p in layers.values()}
        others = [p for p in model.parameters() if id(p) not in inside]
        own = [shares.get(name.rpartition(".")[2], 1.0) for name in layers]
        self.muon = Muon(list(layers.values()), own)
        self.adamw = torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0)

    def step(self, learning_rate: float) -> None:
        """Update all parameters and forget their gradients."""
        for group in self.adamw.param_groups:
            group["lr"] = learning_rate
        self.adamw.step()
        self.muon.step(learning_rate)
        for matrix in self.muon.matrices:
            matrix.grad = None
        self.adamw.zero_grad()


def rate(step: int, options: Namespace) -> float:
    """Give the learning rate of a step: warm-up, constant, linear decay over the last 30 percent.

    The constant part does not depend on the number of steps, so a run that is stopped there may be
    resumed with another `--steps` and ends as if it had been started with it.
    """
    up = (step + 1) / options.warm_up
    down = (options.steps - step) / (0.3 * options.steps)
    return float(options.learning_rate * min(1.0, up, down))


class Batches(Protocol):
    """Reads a corpus as batches; `index` and `rest` are all it needs to go on."""

    index: int
    rest: list[Any]

    def next(self) -> dict[str, torch.Tensor]:
        """Return the next batch, as arguments of the model."""


class Rows:
    """Batches of rows of tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, options: Namespace, part: str) -> None:
        self.tokenizer, self.seed, self.part = tokenizer, options.seed, part
        self.how_many, self.length = options.batch, options.length
        self.index = 0
        self.rest: list[int] = []

    def next(self) -> dict[str, torch.Tensor]:
        """Return the next rows, packed: a document may end in one row and go on in the next."""
        import torch

        how_many, length = self.how_many, self.length
        eos: Any = self.tokenizer.eos_token_id
        while len(self.rest) < how_many * length:
            texts = [document(self.seed, self.index + i, self.part) for i in range(16)]
            self.index += len(texts)
            for tokens in self.tokenizer(texts)["input_ids"]:
                self.rest += [*tokens, eos]
        taken, self.rest = self.rest[: how_many * length], self.rest[how_many * length :]
        rows = torch.tensor(taken).view(how_many, length)
        return {"input_ids": rows, "labels": rows}


def held_out_loss(model: PreTrainedModel, reader: Batches, batches: int) -> float:
    """Measure the mean loss a token, in nats, on text that is drawn apart from training's."""
    import torch

    losses, tokens = [], []
    model.eval()
    with torch.no_grad():
        for _ in range(batches):
            batch = reader.next()
            losses.append(float(model(**batch).loss))
            tokens.append(int((batch["labels"] >= 0).sum()))
    model.train()
    return sum(map(operator.mul, losses, tokens)) / sum(tokens)


@dataclass
class Run:
    """Everything that changes while training, which is also what a resumed run needs."""

    model: PreTrainedModel
    optimizers: Optimizers
    reader: Batches
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Write the state; the old one is replaced at once, never half."""
        import torch

        state = {
            "model": self.model.state_dict(),
            "adamw": self.optimizers.adamw.state_dict(),
            "momenta": self.optimizers.muon.momenta,
            "reader": (self.reader.index, self.reader.rest),
            "progress": (self.step, self.seconds),
        }
        unfinished = path.with_name(path.name + ".part")
        torch.save(state, unfinished)
        unfinished.replace(path)

    def load(self, path: Path) -> None:
        """Take up what an interrupted run left."""
        import torch

        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizers.adamw.load_state_dict(state["adamw"])
        self.optimizers.muon.momenta = state["momenta"]
        self.reader.index, self.reader.rest = state["reader"]
        self.step, self.seconds = state["progress"]


def train(
    model: PreTrainedModel,
    reader: Batches,
    options: Namespace,
    shares: Mapping[str, float] = MappingProxyType({}),
    batches: int = 1,
) -> float:
    """Run the loop, of so many batches a step, and return the seconds it took.

    Those before an interruption count.
    """
    import torch

    run = Run(model, Optimizers(model, shares), reader)
    if options.state.exists():
        run.load(options.state)
    start = time.perf_counter() - run.seconds
    model.train()
    while run.step < options.steps:
        losses = []
        for _ in range(batches):
            loss = model(**run.reader.next()).loss / batches
            loss.backward()
            losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        run.optimizers.step(rate(run.step, options))
        run.step += 1
        run.seconds = time.perf_counter() - start
        if run.step % 25 == 0:
            print(f"step {run.step} loss {sum(losses):.4f} seconds {run.seconds:.0f}", flush=True)
        if run.step % options.save_every == 0:
            run.save(options.state)
    return run.seconds


def tokenizer_texts(seed: int) -> Iterator[str]:
    """Yield what the tokenizer learns from: documents, and each word alone as at a line's start.

    An answer often begins a line, and a prompt may end in a space: both need words without a space
    before them, which are too rare in running text to become single tokens.
    """
    yield from (document(seed, index, "tokenizer") for index in range(TOKENIZER_DOCUMENTS))
    yield from ("\n".join((*WORDS, *PEOPLE, *TOWNS, *DAYS, *TOPICS)) for _ in range(60))


def _name_tokenizer_class(path: Path) -> None:
    """Name the class that every version of transformers knows, and not the newest one's own."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def write_folder(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, card: str, folder: Path
) -> None:
    """Write the model in bf16, its tokenizer and its card in the Hugging Face layout."""
    import torch
    from transformers import GenerationConfig

    names = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    tokens = {name: getattr(model.config, name, None) for name in names}
    model.generation_config = GenerationConfig(
        **{name: token for name, token in tokens.items() if token is not None}, do_sample=False
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder, save_jinja_files=False)
    _name_tokenizer_class(folder / "tokenizer_config.json")
    (folder / "README.md").write_text(card, encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Train the tokenizer and the model, measure, and write the folder."""
    import torch

    options = options_of(arguments)
    torch.set_num_threads(options.threads)
    options.state.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(tokenizer_texts(options.seed), options.vocabulary, longest=2048)
    model = new_model(options, tokenizer)
    print(f"{model.num_parameters()} parameters", flush=True)
    seconds = train(model, Rows(tokenizer, options, "train"), options)
    model.to(torch.bfloat16).float()
    batches = max(1, HELD_OUT_SEQUENCES // options.batch)
    loss = held_out_loss(model, Rows(tokenizer, options, "held-out"), batches)
    print(f"held-out loss {loss:.4f} perplexity {math.exp(loss):.2f}", flush=True)
    facts = Facts(
        flags=shlex.join(sys.argv[1:] if arguments is None else arguments),
        parameters=model.num_parameters(),
        tokens=options.steps * options.batch * options.length,
        length=options.length,
        loss=loss,
        seconds=seconds,
        threads=options.threads,
        unseen=tuple(NEVER_SHOWN),
        remark=options.remark,
    )
    write_folder(model, tokenizer, model_card(facts), options.out)


if __name__ == "__main__":
    main()

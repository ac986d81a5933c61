"""Shared fixtures: a toy model on disk, the tiers of the sandbox, and no network beyond here."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchbench import sandbox
from benchbench.sandbox.pool import obstacle

os.environ.update(
    HF_HUB_OFFLINE="1",
    OMP_WAIT_POLICY="PASSIVE",
    TOKENIZERS_PARALLELISM="false",
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_LOGGING_LEVEL="ERROR",
    VLLM_NO_USAGE_STATS="1",
)
if "PYTEST_XDIST_WORKER" in os.environ:  # threads that wait for one another waste the others' core
    os.environ.update(OMP_NUM_THREADS="1", VLLM_CPU_OMP_THREADS_BIND="nobind")
os.environ.pop("BENCHBENCH_DATA", None)
os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)

LOCAL = ("127.0.0.1", "::1", "localhost")


LONGEST = (
    "test_stock_methods",
    "test_end_to_end",
    "test_openings",
    "test_exam",
    "test_process",
    "test_group",
)
"""Files that take minutes: they begin first, so that no worker is left alone with one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole", action="store_true", help="run slow tests too, and examine every stock method"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)

    items.sort(key=place)
    if config.getoption("--whole") or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in set(slow)]


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to other machines unless the test is marked `network`."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        local = isinstance(address, str | bytes) or address[0] in LOCAL  # type: ignore[index]
        # Looking up the own address of a host opens no connection (UDP sends nothing here).
        if not local and self.type != socket.SOCK_DGRAM:
            raise RuntimeError(f"a test tried to connect to {address}; mark it `network`")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with tied embeddings whose outputs vary, and its tokenizer."""
    return write_model(tmp_path_factory.mktemp("models") / "tiny", tied=True)


@pytest.fixture(scope="session")
def untied_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a head of its own."""
    return write_model(tmp_path_factory.mktemp("models") / "untied", tied=False)


def write_model(folder: Path, *, tied: bool = True, seed: int = 0, **changes: int) -> Path:
    """Write a small random Llama; `changes` override its dimensions."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    write_tokenizer(folder)
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": 320,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "max_position_embeddings": 512,
    }
    config = LlamaConfig(
        **(sizes | changes),
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "norm" not in name:
                weights.mul_(4)  # so that greedy outputs vary instead of repeating one token
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random T5 with tied embeddings whose outputs vary, and its tokenizer."""
    return write_t5(tmp_path_factory.mktemp("models") / "tiny-t5")


@pytest.fixture(scope="session")
def untied_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as in T5's version 1.1: with a head of its own, and a configuration as published."""
    import torch

    folder = tmp_path_factory.mktemp("models") / "untied-t5"
    write_t5(folder, tie_word_embeddings=False)
    path = folder / "model.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        _change(path, lambda tensors: tensors | {"lm_head.weight": torch.randn(320, 64) * 0.1})
    config = json.loads((folder / "config.json").read_text())
    del config["scale_decoder_outputs"]
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    return folder


def write_t5(folder: Path, *, seed: int = 0, **changes: int) -> Path:
    """Write a small random T5, its heads together smaller than a layer; `changes` override it."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    write_tokenizer(folder, ends=True)
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": 320,
        "d_model": 64,
        "d_kv": 16,
        "d_ff": 128,
        "num_layers": 2,
        "num_heads": 2,
    }
    config = T5Config(
        **(sizes | changes),
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        decoder_start_token_id=2,
        eos_token_id=1,
        pad_token_id=2,
    )
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "EncDecAttention" in name or "relative" in name:
                weights.mul_(3)  # so that outputs vary with what was read
    model.save_pretrained(folder)
    return folder


def write_gpt2(folder: Path) -> Path:
    """Write a small random GPT-2, whose linear layers keep their weights as [inputs, outputs]."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    write_tokenizer(folder)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=320, n_embd=64, n_head=2, n_layer=1, n_positions=256)
    config.bos_token_id, config.eos_token_id = 0, 1
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def write_tokenizer(folder: Path, *, ends: bool = False) -> None:
    """Write a byte-level tokenizer of 320 tokens with <s>, </s> and <pad>.

    It begins each text with <s>, or ends it with </s> as T5's does.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the cat sat on the mat and the dog ran home"] * 9, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>" if ends else "<s> $A", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        clean_up_tokenization_spaces=False,
    )
    fast.save_pretrained(folder)


def _change(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    from safetensors.torch import load_file, save_file

    save_file(change(load_file(path)), path, metadata={"format": "pt"})


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads that wait for one another are slow where tests share their cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run the test in an empty folder."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


@pytest.fixture(params=sandbox.TIERS)
def tier(request: pytest.FixtureRequest) -> sandbox.Tier:
    """Each of the sandbox's tiers that holds here."""
    why = obstacle(request.param)
    if why is not None:
        pytest.skip(f"no {request.param} here: {why}")
    found: sandbox.Tier = request.param
    return found

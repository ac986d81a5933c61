"""nano-t5: reproducible, within its limits, and honestly kept apart from the sample's tests."""

from __future__ import annotations

import json
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench_plugins import nano
from benchbench_plugins.nano.pretraining import sample, sample_wording
from benchbench_plugins.nano_t5 import WEIGHTS, register_models
from benchbench_plugins.nano_t5.pretraining import card, corpus, pretrain, start
from benchbench_plugins.nano_t5.pretraining.tokenizer import SENTINELS

MARK = re.compile(r"<extra_id_\d+>")


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(WEIGHTS)


def _pairs(how_many: int) -> list[corpus.Pair]:
    return [corpus.pair(0, index) for index in range(how_many)]


def test_corpus_is_a_function_of_seed_and_index():
    first = [corpus.pair(3, index) for index in range(50)]
    assert first == [corpus.pair(3, index) for index in range(50)]
    assert first != [corpus.pair(4, index) for index in range(50)]
    assert first != [corpus.pair(3, index, "held-out") for index in range(50)]


def test_corpus_holds_no_test_instance_and_no_exam_format():
    held_out = sample.held_out_inputs()
    texts = ["\n".join(pair) for pair in _pairs(1000)]
    text = "\n\n".join(texts + [MARK.sub(" ", text) for text in texts])
    assert not [found for found in held_out if found in text]
    assert "Now complete the following example" not in text
    assert "Definition:" not in text
    assert not [draft for draft in sample_wording.DRAFTS if draft.definition in text]


def test_corpus_discards_a_pair_with_a_test_input(monkeypatch):
    monkeypatch.setattr(
        "benchbench_plugins.nano.pretraining.corpus.held_out_inputs", lambda: ("in the",)
    )
    assert all("in the" not in "".join(pair) for pair in _pairs(100))


@pytest.mark.parametrize("kind", [corpus._corrupted, corpus._continued])
def test_no_test_input_is_torn_and_so_kept(kind, monkeypatch):
    from random import Random

    monkeypatch.setattr(
        "benchbench_plugins.nano.pretraining.corpus.held_out_inputs", lambda: ("in the",)
    )
    for seed in range(200):
        source, target = kind(Random(seed))
        spans = iter([*MARK.split(target)[1:], target])
        whole = MARK.sub(lambda _, spans=spans: next(spans), source)
        assert "in the" not in whole and "in the" not in f"{whole} {next(spans)}"


def test_every_place_that_is_left_out_is_filled_in_once_and_in_order():
    marked = [pair for pair in _pairs(900) if MARK.search(pair.source)]
    assert len(marked) > 200
    for source, target in marked:
        marks = MARK.findall(source)
        assert marks == MARK.findall(target) == list(SENTINELS[: len(marks)])
        assert all(MARK.split(target)[1:])


def test_a_text_that_was_corrupted_can_be_put_together_again():
    from random import Random

    for seed in range(200):
        source, target = corpus._corrupted(Random(seed))
        spans = iter(MARK.split(target)[1:])
        whole = MARK.sub(lambda _, spans=spans: next(spans), source)
        assert whole == corpus._text(Random(seed)).rstrip()


def test_the_shares_are_percent():
    assert sum(corpus.SHARES) == 100 and len(corpus.SHARES) == len(corpus.KINDS_OF_PAIR)


@settings(deadline=None, max_examples=100)
@given(text=st.text(max_size=80))
def test_tokenizer_gives_any_text_back_and_ends_it(tokenizer, text):
    for special in tokenizer.all_special_tokens:
        text = text.replace(special, "")
    tokens = tokenizer(text)["input_ids"]
    assert tokens[-1] == tokenizer.eos_token_id == 1
    assert tokenizer.decode(tokens, skip_special_tokens=True) == text


def test_tokenizer_knows_padding_and_every_mark(tokenizer):
    assert tokenizer.pad_token_id == 0 and tokenizer.chat_template is None
    tokens = tokenizer("".join(SENTINELS), add_special_tokens=False)["input_ids"]
    assert len(tokens) == len(SENTINELS)
    assert tokenizer.decode(tokens, skip_special_tokens=True) == ""


def test_weights_are_small_and_of_the_architecture_that_is_said(tokenizer):
    config = json.loads((WEIGHTS / "config.json").read_text())
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 6_000_000
    assert config["architectures"] == ["T5ForConditionalGeneration"]
    assert config["feed_forward_proj"] == "gated-gelu" and config["is_encoder_decoder"]
    assert config["decoder_start_token_id"] == config["pad_token_id"] == 0
    assert config["vocab_size"] == len(tokenizer)
    card = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert "--out plugins/nano_t5/weights" in card and "/tmp" not in card


def test_model_answers_questions_that_it_was_not_trained_on(tokenizer):
    from random import Random

    from benchbench.models.base import BaseModel

    model = BaseModel(WEIGHTS).load(torch.float32).eval()
    assert f"{model.num_parameters() / 1e6:.1f} M" in register_models()[0].description
    right = 0
    for seed in range(60):
        source, target = corpus._question(Random(f"never drawn {seed}"))
        ids = torch.tensor([tokenizer(source)["input_ids"]])
        written = model.generate(input_ids=ids, max_new_tokens=40, do_sample=False)[0]
        right += tokenizer.decode(written, skip_special_tokens=True) == target
    assert right >= 24


def _copied(model, rows: torch.Tensor) -> float:
    """The part of random tokens that the most likely next word of the decoder is."""
    logits = model(input_ids=rows, labels=rows).logits
    return float((logits[:, 1:].argmax(-1) == rows[:, 1:]).float().mean())


def test_the_circuit_copies_what_a_model_of_chance_does_not():
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(d_model=96, d_kv=24, num_heads=4, d_ff=64, num_layers=2, vocab_size=400)
    config.decoder_start_token_id = 0
    model = T5ForConditionalGeneration(config).eval()
    rows = torch.randint(2, 400, (8, 24))
    assert _copied(model, rows) < 0.1
    start.lay_circuit(model, 0)
    assert _copied(model, rows) > 0.6


def test_lent_words_are_near_where_they_are_near_for_nano(tokenizer):
    from transformers import AutoTokenizer

    from benchbench.models.base import BaseModel

    model = pretrain.new_model(pretrain.options_of(["--out", "x"]), tokenizer)
    lent = BaseModel(nano.WEIGHTS).load(torch.float32).get_input_embeddings().weight.detach()
    theirs = AutoTokenizer.from_pretrained(nano.WEIGHTS).get_vocab()
    own = tokenizer.get_vocab()
    tokens = sorted(own.keys() & theirs.keys())[200:500]

    def likeness(words: torch.Tensor) -> torch.Tensor:
        words = torch.nn.functional.normalize(words - words.mean(0))
        return (words @ words.T)[torch.triu_indices(len(words), len(words), 1).unbind()]

    both = [likeness(lent[[theirs[token] for token in tokens]])]
    both.append(likeness(model.shared.weight.detach()[[own[token] for token in tokens]]))
    assert torch.corrcoef(torch.stack(both))[0, 1] > 0.25
    assert model.shared.weight.detach().square().mean() == pytest.approx(1, rel=0.05)
    assert model.lm_head.weight is model.shared.weight


def test_the_card_is_what_the_generator_writes_of_a_run():
    fixed = re.split(r"{\w+[^}]*}", card.CARD)
    text = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert len(fixed) > 5 and re.fullmatch(".*?".join(map(re.escape, fixed)), text, re.DOTALL)


TINY = (
    "--batch 64 --length 32 --target 16 --hidden 32 --heads 4 --intermediate 32 --layers 1 "
    "--vocabulary 400 --steps 4 --warm-up 1 --save-every 2 --threads 1"
).split()


def test_pretraining_runs_and_resumes_to_the_same_weights(tmp_path, monkeypatch):
    from benchbench_plugins.nano.pretraining import pretrain as loop

    monkeypatch.setattr(loop, "TOKENIZER_DOCUMENTS", 50)
    monkeypatch.setattr(pretrain, "ROUND", 4)
    monkeypatch.setattr(pretrain, "HELD_OUT_BATCHES", 2)
    once, twice = tmp_path / "once", tmp_path / "twice"
    pretrain.main(["--out", str(once), *TINY])
    save = loop.Run.save

    def interrupted(run, path):
        save(run, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Run, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain.main(["--out", str(twice), *TINY])
    steps = []
    rate = loop.rate
    monkeypatch.setattr(
        loop, "rate", lambda step, options: steps.append(step) or rate(step, options)
    )
    pretrain.main(["--out", str(twice), *TINY])
    assert steps == [2, 3]
    first, second = (torch.load(f"{folder}.state", weights_only=True) for folder in (once, twice))
    assert first["reader"] == second["reader"] and first["reader"][0] > 4
    assert all((first["model"][name] == second["model"][name]).all() for name in first["model"])
    assert {path.name for path in once.iterdir()} >= {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


@pytest.mark.parametrize("flags", ["--heads 2", "--hidden 256"])
def test_a_shape_that_the_start_does_not_suit_is_refused(flags, capsys):
    with pytest.raises(SystemExit):
        pretrain.options_of(["--out", "x", *flags.split()])
    assert "at least 4 heads" in capsys.readouterr().err

"""nano and the sample of tasks: reproducible, within their limits, and honestly kept apart."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench_plugins.nano.pretraining import card, corpus, pretrain, sample
from benchbench_plugins.nano.pretraining.catalogue import all_skills

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "plugins" / "nano" / "weights"
SAMPLE = ROOT / "tasks" / "sample" / "super-ni"
SCHEMA = {
    "Contributors",
    "Source",
    "URL",
    "Categories",
    "Reasoning",
    "Definition",
    "Input_language",
    "Output_language",
    "Instruction_language",
    "Domains",
    "Positive Examples",
    "Negative Examples",
    "Instances",
    "Instance License",
}


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(WEIGHTS)


@pytest.fixture(scope="module")
def tasks() -> dict[str, dict]:
    paths = sorted((SAMPLE / "tasks").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def _split(name: str) -> list[str]:
    return (SAMPLE / "splits" / "default" / f"{name}_tasks.txt").read_text().split()


def test_corpus_is_a_function_of_seed_and_index():
    first = [corpus.document(3, index) for index in range(50)]
    assert first == [corpus.document(3, index) for index in range(50)]
    assert first != [corpus.document(4, index) for index in range(50)]
    assert first != [corpus.document(3, index, "held-out") for index in range(50)]


def test_corpus_holds_no_test_instance_and_no_exam_format():
    held_out = sample.held_out_inputs()
    indices = [start + step for start, _ in corpus.STAGES for step in range(500)]
    text = "\n\n".join(corpus.document(0, index) for index in indices)
    assert not [found for found in held_out if found in text]
    assert "Now complete the following example" not in text
    assert "Definition:" not in text


def test_corpus_discards_a_document_with_a_test_input(monkeypatch):
    common = [name for name in ("Mia", "red") if name in corpus.document(0, 0)] or ["the"]
    monkeypatch.setattr(corpus, "held_out_inputs", lambda: tuple(common))
    assert all(common[0] not in corpus.document(0, index) for index in range(20))


def test_held_out_inputs_are_those_of_the_committed_test_tasks(tasks):
    committed = [i["input"] for name in _split("test") for i in tasks[name]["Instances"]]
    held_out = sample.held_out_inputs()
    assert len(committed) == len(held_out)
    assert all(shown.endswith(bare) for shown, bare in zip(committed, held_out, strict=True))


@pytest.mark.parametrize("name", sorted(all_skills()))
def test_a_skill_makes_answers_that_are_not_empty(name):
    from random import Random

    skill, random = all_skills()[name], Random(0)
    for _ in range(50):
        example = skill.make(random)
        assert example.input.strip() == example.input != ""
        assert example.outputs and all(answer.strip() == answer for answer in example.outputs)
        assert skill.instruction(random)


def test_sample_is_what_the_generator_writes():
    written = dict(sample.files())
    committed = {
        path.relative_to(SAMPLE).as_posix(): path.read_text(encoding="utf-8")
        for path in SAMPLE.rglob("*_task*")
        if path.is_file()
    }
    assert committed == written


def test_sample_has_the_schema_of_the_release(tasks):
    for task in tasks.values():
        assert set(task) == SCHEMA
        assert len(task["Positive Examples"]) >= 2 and task["Negative Examples"]
        for example in task["Positive Examples"] + task["Negative Examples"]:
            assert set(example) == {"input", "output", "explanation"}
            assert all(example.values())
        inputs = [instance["input"] for instance in task["Instances"]]
        assert len(set(inputs)) == len(inputs) in (25, 50)
        assert all(instance["output"] for instance in task["Instances"])
        assert not {example["input"] for example in task["Positive Examples"]} & set(inputs)


def test_a_negative_example_is_wrong(tasks):
    for task in tasks.values():
        for example in task["Negative Examples"]:
            assert f'should be "{example["output"]}"' not in example["explanation"]


def test_splits_are_disjoint_and_varied(tasks):
    train, test = _split("train"), _split("test")
    assert not set(train) & set(test)
    assert sorted(train + test) == sorted(tasks)
    for names in (train, test):
        assert len({tasks[name]["Categories"][0] for name in names}) >= 6


@settings(deadline=None, max_examples=100)
@given(text=st.text(max_size=80))
def test_tokenizer_gives_any_text_back(tokenizer, text):
    for special in tokenizer.all_special_tokens:
        text = text.replace(special, "")
    tokens = tokenizer(text)["input_ids"]
    assert tokens[0] == tokenizer.bos_token_id
    assert tokenizer.decode(tokens, skip_special_tokens=True) == text


def test_tokenizer_knows_all_bytes_and_three_specials(tokenizer):
    from tokenizers.pre_tokenizers import ByteLevel

    assert set(ByteLevel.alphabet()) <= set(tokenizer.get_vocab())
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}) == 3


def test_chat_template_renders(tokenizer):
    messages = [
        {"role": "user", "content": "Give the first word.\npear, hat"},
        {"role": "assistant", "content": "pear"},
    ]
    asked = tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    answered = tokenizer.apply_chat_template(messages, tokenize=False)
    assert asked == "<bos><|user|>\nGive the first word.\npear, hat\n<|assistant|>\n"
    assert answered == asked + "pear<eos>"


def test_weights_are_small_and_their_dimensions_suit_every_engine(tokenizer):
    config = json.loads((WEIGHTS / "config.json").read_text())
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 10_000_000
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["tie_word_embeddings"] and config["head_dim"] == 64
    assert config["max_position_embeddings"] >= 2048
    assert config["vocab_size"] == len(tokenizer)
    for name in ("hidden_size", "intermediate_size", "vocab_size"):
        assert config[name] % 32 == 0


def test_model_runs_on_a_long_prompt(tokenizer):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32)
    assert 2e6 <= model.num_parameters() <= 5e6
    with torch.no_grad():
        logits = model(torch.randint(3, len(tokenizer), (1, 1152))).logits
    assert torch.isfinite(logits).all()


def test_the_card_is_what_the_generator_writes_of_a_run():
    fixed = re.split(r"{\w+[^}]*}", card.CARD)
    text = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert len(fixed) > 5 and re.fullmatch(".*?".join(map(re.escape, fixed)), text, re.DOTALL)


TINY = (
    "--batch 2 --length 32 --hidden 64 --intermediate 64 --layers 1 --vocabulary 400 "
    "--steps 2 --warm-up 1 --save-every 1 --threads 1"
).split()


def _stop_after_first_save(monkeypatch):
    """Interrupt the run as a closed laptop would, right after its state was written."""
    save = pretrain.Run.save

    def interrupted(run, path):
        save(run, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(pretrain.Run, "save", interrupted)


def test_pretraining_runs_and_resumes_to_the_same_weights(tmp_path, monkeypatch):
    from safetensors.torch import load_file

    monkeypatch.setattr(pretrain, "TOKENIZER_DOCUMENTS", 50)
    once, twice = tmp_path / "once", tmp_path / "twice"
    pretrain.main(["--out", str(once), *TINY])
    with monkeypatch.context() as patch:
        _stop_after_first_save(patch)
        with pytest.raises(KeyboardInterrupt):
            pretrain.main(["--out", str(twice), *TINY])
    pretrain.main(["--out", str(twice), *TINY])
    first, second = (load_file(folder / "model.safetensors") for folder in (once, twice))
    assert all((first[name] == second[name]).all() for name in first)
    assert {path.name for path in once.iterdir()} >= {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert "Tokens seen: 128" in (once / "README.md").read_text(encoding="utf-8")

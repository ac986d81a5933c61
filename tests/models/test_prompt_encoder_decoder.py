"""What an encoder reads and a decoder writes: each ends in the end of sequence, each has room."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchbench import Generation, Message, Sample
from benchbench.models.base import BaseModel
from benchbench.models.prompt import READ, Renderer
from tests.conftest import write_t5
from tests.models.test_prompt import SAMPLE, TASK, Stemmed, protocol, text
from tests.toys.tasks import Corpus, Ranked


@pytest.fixture(scope="module")
def renderer(tiny_t5: Path) -> Renderer:
    return Renderer.of(BaseModel(tiny_t5))


def test_a_prompt_ends_in_the_end_of_sequence(renderer: Renderer) -> None:
    prompt = renderer.prompt(TASK, SAMPLE, protocol())
    assert text(renderer, prompt.tokens) == "the cat sat on the mat</s>"
    assert not prompt.truncated


@pytest.mark.parametrize("form", ["text", "tulu"])
def test_a_tokenizer_that_ends_no_text_makes_no_difference(
    form: str, renderer: Renderer, tiny_model: Path
) -> None:
    other = replace(renderer, tokenizer=Renderer.of(BaseModel(tiny_model)).tokenizer)
    found = other.prompt(TASK, SAMPLE, protocol(form=form)).tokens
    assert found[-1] == 1 and found[1:] == renderer.prompt(TASK, SAMPLE, protocol(form=form)).tokens


@pytest.mark.parametrize(("cut", "kept"), [("right", "the"), ("left", "mat")])
def test_a_cut_prompt_keeps_its_end_of_sequence_within_the_limit(
    cut: str, kept: str, renderer: Renderer
) -> None:
    whole = renderer.prompt(TASK, SAMPLE, protocol()).tokens
    short = renderer.prompt(TASK, SAMPLE, protocol(max_prompt_tokens=4, cut=cut))
    assert short.truncated and len(short.tokens) == 4
    assert short.tokens == (*(whole[:3] if cut == "right" else whole[-4:-1]), whole[-1])
    assert kept in text(renderer, short.tokens)
    fitting = protocol(max_prompt_tokens=len(whole))
    assert not renderer.prompt(TASK, SAMPLE, fitting).truncated
    one = renderer.prompt(TASK, SAMPLE, protocol(max_prompt_tokens=1, cut=cut))
    assert one.tokens == whole[-1:]


def test_prompt_and_completion_do_not_share_a_context(renderer: Renderer) -> None:
    assert renderer.context == READ
    long = replace(SAMPLE, input="the cat sat " * READ)
    prompt = renderer.prompt(TASK, long, protocol(generation=Generation(max_tokens=700)))
    assert len(prompt.tokens) == READ and prompt.max_new_tokens == 700
    endless = protocol(generation=Generation(max_tokens=9999))
    assert renderer.prompt(TASK, SAMPLE, endless).max_new_tokens == READ
    example = renderer.example(TASK, replace(long, targets=("ran " * READ,)), endless)
    assert len(example.prompt) == len(example.completion) == READ
    assert example.prompt[-1] == example.completion[-1] == 1
    assert renderer.longest == 2 * READ


def test_positions_that_a_model_has_are_heeded(tmp_path: Path) -> None:
    import json

    folder = write_t5(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["max_position_embeddings"] = 64
    (folder / "config.json").write_text(json.dumps(config))
    assert Renderer.of(BaseModel(folder)).context == 64 - 64 // 16


def test_a_completion_is_the_target_and_its_end(renderer: Renderer) -> None:
    example = renderer.example(TASK, SAMPLE, protocol(generation=Generation(max_tokens=50)))
    assert text(renderer, example.completion) == "the dog</s>" and not example.read
    assert text(renderer, example.prompt) == "the cat sat on the mat</s>"


def test_what_goes_on_from_a_stem_begins_anew(renderer: Renderer) -> None:
    """The stem is read; the space before the answer was for a text that goes on."""
    example = renderer.example(
        Stemmed(), SAMPLE, protocol(form="tulu", generation=Generation(max_tokens=50))
    )
    assert text(renderer, example.prompt).endswith("<|assistant|>\nAnswer:</s>")
    assert text(renderer, example.completion) == "the dog</s>"


def test_choices_begin_anew_and_take_no_room_from_the_prompt(renderer: Renderer) -> None:
    sample = Sample(id="1", input="the cat sat on the mat", choices=(" ran", " sat on", " "))
    prompt = renderer.prompt(Ranked(), sample, protocol(generation=Generation(max_tokens=1)))
    found = [text(renderer, choice) for choice in prompt.choices]
    assert found == ["ran", "sat on", " "]
    narrow = replace(renderer, context=len(prompt.tokens))
    assert narrow.prompt(Ranked(), sample, protocol()).tokens == prompt.tokens


def test_of_several_turns_the_last_answer_is_written_and_the_others_are_read(
    renderer: Renderer,
) -> None:
    wanted = protocol(form="tulu", generation=Generation(max_tokens=100))
    example = renderer.example(Corpus(), SAMPLE, wanted)
    assert text(renderer, example.completion) == "the mat</s>" and not example.read
    assert "sat</s>" in text(renderer, example.prompt)
    assert text(renderer, example.prompt).endswith("<|assistant|>\n</s>")


def test_a_conversation_that_is_too_long_ends_in_an_earlier_answer(renderer: Renderer) -> None:
    wanted = protocol(form="tulu", generation=Generation(max_tokens=100))
    whole = renderer.example(Corpus(), SAMPLE, wanted)
    for longest in (len(whole.prompt) - 1, 3):
        example = renderer.example(Corpus(), SAMPLE, replace(wanted, max_prompt_tokens=longest))
        assert text(renderer, example.completion) == "sat</s>"
        assert len(example.prompt) <= longest and example.prompt[-1] == 1
    bounded = replace(wanted, max_example_tokens=len(whole.prompt))
    assert renderer.example(Corpus(), SAMPLE, bounded) == whole


def test_a_ranking_reads_the_conversation(renderer: Renderer) -> None:
    tokens, (first, second) = renderer.ranking(
        [Message(role="user", content="the cat")], ["A", " B"]
    )
    assert text(renderer, tokens).endswith("<|assistant|>\n</s>")
    assert text(renderer, (*first, *second)) == "AB"

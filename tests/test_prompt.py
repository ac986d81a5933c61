from pathlib import Path

import pytest
from transformers import AutoTokenizer

from benchbench import Generation, Protocol, Sample
from benchbench.errors import ModelError
from benchbench.prompt import Renderer
from tests.toys import Echo

TASK = Echo()
SAMPLE = Sample(id="1", input="the cat sat on the mat", targets=("the dog", "ran"))
CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ '<answer>' }}"


def protocol(**changes: object) -> Protocol:
    values = {"summary": "", "generation": Generation(max_tokens=6), "chat": False}
    return Protocol(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def renderer(tiny_model: Path) -> Renderer:
    return Renderer.of(tiny_model)


def text(renderer: Renderer, tokens: tuple[int, ...]) -> str:
    return str(renderer.tokenizer.decode(list(tokens)))


def test_a_plain_prompt_is_the_text_after_the_first_token(renderer: Renderer) -> None:
    prompt = renderer.prompt(TASK, SAMPLE, protocol())
    assert text(renderer, prompt.tokens) == "<s>the cat sat on the mat"
    assert not prompt.truncated


@pytest.mark.parametrize(("cut", "kept"), [("right", "<s>the"), ("left", "mat")])
def test_a_long_prompt_is_cut_at_one_end_and_marked(
    cut: str, kept: str, renderer: Renderer
) -> None:
    whole = renderer.prompt(TASK, SAMPLE, protocol())
    short = renderer.prompt(TASK, SAMPLE, protocol(max_prompt_tokens=3, cut=cut))
    assert short.truncated and len(short.tokens) == 3
    expected = whole.tokens[:3] if cut == "right" else whole.tokens[-3:]
    assert short.tokens == expected
    assert kept in text(renderer, short.tokens)


def test_a_prompt_of_just_the_limit_is_whole(renderer: Renderer) -> None:
    length = len(renderer.prompt(TASK, SAMPLE, protocol()).tokens)
    assert not renderer.prompt(TASK, SAMPLE, protocol(max_prompt_tokens=length)).truncated
    assert renderer.prompt(TASK, SAMPLE, protocol(max_prompt_tokens=length - 1)).truncated


def test_prompt_and_completion_fit_the_model(tiny_model: Path) -> None:
    narrow = Renderer(AutoTokenizer.from_pretrained(tiny_model), context=9)
    assert len(narrow.prompt(TASK, SAMPLE, protocol()).tokens) == 3
    with pytest.raises(ModelError, match="leaves no room"):
        narrow.prompt(TASK, SAMPLE, protocol(generation=Generation(max_tokens=9)))


def test_training_sees_the_prompt_of_the_evaluation(renderer: Renderer) -> None:
    wanted = protocol(max_prompt_tokens=4, cut="right")
    example = renderer.example(TASK, SAMPLE, wanted)
    assert example.prompt == renderer.prompt(TASK, SAMPLE, wanted).tokens


def test_a_completion_ends_with_the_end_of_sequence_even_when_cut(renderer: Renderer) -> None:
    end = renderer.tokenizer.eos_token_id
    whole = renderer.example(TASK, SAMPLE, protocol())
    assert text(renderer, whole.completion) == "the dog</s>"
    cut = renderer.example(TASK, SAMPLE, protocol(generation=Generation(max_tokens=2)))
    assert len(cut.completion) == 2 and cut.completion[-1] == end


def test_a_completion_has_no_first_token_of_its_own(renderer: Renderer) -> None:
    example = renderer.example(TASK, SAMPLE, protocol())
    assert renderer.tokenizer.bos_token_id not in example.completion


def test_chat_goes_through_the_template_and_gets_no_second_start(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = CHAT
    renderer = Renderer(tokenizer, context=512)
    prompt = renderer.prompt(TASK, SAMPLE, protocol(chat=True))
    assert text(renderer, prompt.tokens) == "<user>the cat sat on the mat<answer>"


def test_chat_without_a_template_is_one_sentence(renderer: Renderer) -> None:
    with pytest.raises(ModelError, match="has no chat template"):
        renderer.prompt(TASK, SAMPLE, protocol(chat=True))


def test_a_broken_tokenizer_is_one_sentence(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "config.json").write_text((tiny_model / "config.json").read_text())
    (tmp_path / "tokenizer.json").write_text("{")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be read"):
        Renderer.of(tmp_path)

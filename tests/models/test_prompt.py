from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from transformers import AutoTokenizer

from benchbench import Generation, Message, Protocol, Sample
from benchbench.contract.task import Fits
from benchbench.errors import DataError, ModelError
from benchbench.models.base import BaseModel
from benchbench.models.prompt import Renderer
from tests.toys import Echo
from tests.toys.tasks import Corpus, Ranked

TASK = Echo()
SAMPLE = Sample(id="1", input="the cat sat on the mat", targets=("the dog", "ran"))
CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ '<answer>' }}"

TURNS = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
    "{% if m.role == 'assistant' %}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def protocol(**changes: object) -> Protocol:
    values = {"summary": "", "generation": Generation(max_tokens=6), "form": "text"}
    return Protocol(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def renderer(tiny_model: Path) -> Renderer:
    return Renderer.of(BaseModel(tiny_model))


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


@pytest.mark.parametrize("most", [3, 6, 40])
def test_prompt_and_completion_fit_the_model(most: int, tiny_model: Path) -> None:
    """A completion that is longer than half of a short context leaves the prompt the other half."""
    narrow = Renderer(AutoTokenizer.from_pretrained(tiny_model), context=10)
    prompt = narrow.prompt(TASK, SAMPLE, protocol(generation=Generation(max_tokens=most)))
    assert len(prompt.tokens) == max(10 - most, 5)
    assert prompt.max_new_tokens == min(most, 10 - len(prompt.tokens))
    example = narrow.example(TASK, SAMPLE, protocol(generation=Generation(max_tokens=most)))
    assert len(example.prompt) + len(example.completion) <= 10


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
    prompt = renderer.prompt(TASK, SAMPLE, protocol(form="chat"))
    assert text(renderer, prompt.tokens) == "<user>the cat sat on the mat<answer>"


def test_chat_without_a_template_is_one_sentence(renderer: Renderer) -> None:
    with pytest.raises(ModelError, match="has no chat template"):
        renderer.prompt(TASK, SAMPLE, protocol(form="chat"))


def test_a_broken_tokenizer_is_one_sentence(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "config.json").write_text((tiny_model / "config.json").read_text())
    (tmp_path / "tokenizer.json").write_text("{")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be read"):
        Renderer.of(BaseModel(tmp_path))


USER, ANSWER = (Message(role="user", content="the cat"), Message(role="assistant", content="sat"))


def test_the_tulu_form_needs_no_template(renderer: Renderer) -> None:
    first = renderer.turn([USER], protocol(form="tulu"))
    assert text(renderer, first.tokens) == "<s><|user|>\nthe cat\n<|assistant|>\n"
    second = renderer.turn([USER, ANSWER, USER], protocol(form="tulu"))
    assert text(renderer, second.tokens) == (
        "<s><|user|>\nthe cat\n<|assistant|>\nsat</s>\n<|user|>\nthe cat\n<|assistant|>\n"
    )


@pytest.mark.parametrize(
    ("form", "end"),
    [
        ("text", "the cat on the mat sat"),
        ("tulu", "<|assistant|>\nsat"),
        ("chat", "<assistant>sat"),
    ],
)
def test_a_stem_stays_open(form: str, end: str, tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = CHAT
    messages = [Message(role="user", content="the cat on the mat "), ANSWER]
    prompt = Renderer(tokenizer, context=512).turn(messages, protocol(form=form))
    assert tokenizer.decode(list(prompt.tokens)).endswith(end)


class Stemmed(Echo):
    """Begins its answers."""

    def prompt(self, sample: Sample, protocol: Protocol, fits: Fits) -> list[Message]:
        return [USER, Message(role="assistant", content="Answer:")]


def test_what_goes_on_from_a_stem_is_learned_and_the_stem_is_read(renderer: Renderer) -> None:
    example = renderer.example(Stemmed(), SAMPLE, protocol(form="tulu"))
    assert text(renderer, example.prompt).endswith("<|assistant|>\nAnswer:")
    assert text(renderer, example.completion) == " the dog</s>"


@pytest.mark.parametrize("form", ["text", "tulu", "chat"])
def test_of_several_turns_the_answers_are_learned(form: str, tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = TURNS
    renderer = Renderer(tokenizer, context=512)
    wanted = protocol(form=form, generation=Generation(max_tokens=100))
    example = renderer.example(Corpus(), SAMPLE, wanted)
    learned = list(example.completion)
    for start, stop in reversed(example.read):
        del learned[start:stop]
    assert tokenizer.decode(learned) == "sat</s>the mat</s>"
    whole = tokenizer.decode([*example.prompt, *example.completion])
    messages = list(Corpus().conversation(SAMPLE, wanted, lambda text: True, Random(0)))
    # What is trained on is what the next turn of an evaluation would begin with.
    assert tokenizer.decode(list(renderer.turn([*messages, USER], wanted).tokens)).startswith(whole)


def test_a_template_that_rewrites_earlier_turns_is_refused(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = CHAT  # it ends no answer
    with pytest.raises(ModelError, match="writes earlier answers in another way"):
        Renderer(tokenizer, context=512).example(Corpus(), SAMPLE, protocol(form="chat"))


def test_a_long_conversation_is_cut_at_its_end(renderer: Renderer) -> None:
    generous = protocol(form="tulu", generation=Generation(max_tokens=100))
    whole = renderer.example(Corpus(), SAMPLE, generous)
    short = Renderer(renderer.tokenizer, context=len(whole.prompt) + 9)
    cut = short.example(Corpus(), SAMPLE, generous)
    assert len(cut.prompt) + len(cut.completion) <= short.context
    assert cut.completion == whole.completion[: len(cut.completion)]


def test_a_longest_example_is_cut_as_a_whole_and_an_answer_then_has_no_end(
    renderer: Renderer,
) -> None:
    whole = protocol(form="tulu", generation=Generation(max_tokens=1), max_example_tokens=400)
    example = renderer.example(Corpus(), SAMPLE, whole)
    tokens = [*example.prompt, *example.completion]
    assert text(renderer, tuple(tokens)).endswith("the mat</s>")
    for longest in (len(tokens) - 1, len(example.prompt) + 1, len(example.prompt), 3):
        cut = renderer.example(Corpus(), SAMPLE, replace(whole, max_example_tokens=longest))
        assert len(cut.prompt) + len(cut.completion) == longest
        assert cut.is_learned == (longest > len(example.prompt))
        if cut.is_learned:
            assert [*cut.prompt, *cut.completion] == tokens[:longest]


class Mute(Echo):
    """Never answers."""

    def conversation(
        self, sample: Sample, protocol: Protocol, fits: Fits, random: Random
    ) -> list[Message]:
        return [USER]


def test_a_conversation_without_an_answer_is_one_sentence(renderer: Renderer) -> None:
    with pytest.raises(DataError, match="sample '1' is a conversation without an answer"):
        renderer.example(Mute(), SAMPLE, protocol(form="tulu"))


def test_choices_are_tokens_behind_the_prompt_and_have_room(renderer: Renderer) -> None:
    sample = Sample(id="1", input="the cat sat on the mat", choices=(" ran", " sat on the mat"))
    prompt = renderer.prompt(Ranked(), sample, protocol(generation=Generation(max_tokens=1)))
    for choice, tokens in zip(sample.choices, prompt.choices, strict=True):
        assert text(renderer, (*prompt.tokens, *tokens)) == f"<s>{sample.input}{choice}"
    narrow = Renderer(renderer.tokenizer, context=len(prompt.tokens) + 1)
    cut = narrow.prompt(Ranked(), sample, protocol(generation=Generation(max_tokens=1)))
    assert len(cut.tokens) + cut.longest_choice + 1 <= narrow.context


class Broken(Echo):
    """Raises."""

    def prompt(self, sample: Sample, protocol: Protocol, fits: Fits) -> list[Message]:
        raise KeyError("question")


def test_a_task_that_cannot_make_a_prompt_is_one_sentence(renderer: Renderer) -> None:
    for render in (renderer.prompt, renderer.example):
        with pytest.raises(
            DataError,
            match=r"'echo' cannot make the prompt of sample '1' \(KeyError: .*_prompt\.py, line",
        ):
            render(Broken(), SAMPLE, protocol())


def test_a_choice_that_leaves_no_room_is_refused(renderer: Renderer) -> None:
    sample = Sample(id="1", input="the cat", choices=(" the cat sat on the mat", " ran"))
    narrow = Renderer(renderer.tokenizer, context=5)
    with pytest.raises(DataError, match="has a choice of"):
        narrow.prompt(Ranked(), sample, protocol(generation=Generation(max_tokens=1)))


def test_a_tokenizer_that_ends_every_text_does_not_end_choices(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    end = tokenizer.eos_token_id

    class Ending:
        eos_token_id, eos_token, chat_template = end, tokenizer.eos_token, None

        def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
            found = tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"]
            return {"input_ids": [*found, end] if add_special_tokens else found}

    sample = Sample(id="1", input="the cat", choices=(" sat", " ran"))
    prompt = Renderer(Ending(), context=99).prompt(
        Ranked(), sample, protocol(generation=Generation(max_tokens=1))
    )
    assert end not in (*prompt.tokens, *(t for choice in prompt.choices for t in choice))


def test_a_ranked_tasks_answers_are_learned_whole(renderer: Renderer) -> None:
    one = protocol(generation=Generation(max_tokens=1))
    example = renderer.example(Ranked(), SAMPLE, one)
    assert text(renderer, example.completion) == "the dog</s>"


def test_some_of_a_models_positions_are_left_to_learned_prompts(tiny_model: Path) -> None:
    assert Renderer.of(BaseModel(tiny_model)).context == 512 - 512 // 16

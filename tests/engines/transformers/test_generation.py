"""Answers of models in memory: of both architectures, of adapters, and behind learned prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench import peft_model
from benchbench.checkpoints import parity
from benchbench.checkpoints.learned import Prefix, SoftPrompt, of_peft
from benchbench.contract.task import Generation
from benchbench.engines.engine import Completion, Request
from benchbench.engines.text import Decoder
from benchbench.engines.transformers.generation import generate
from benchbench.errors import CheckpointOverflow
from benchbench.models import logprobs
from benchbench.models.base import BaseModel

PROMPTS = [tuple([*((3 + 7 * i + 5 * j) % 317 for j in range(2 + 3 * i)), 1]) for i in range(8)]
GREEDY = Generation(max_tokens=10)
SAMPLED = Generation(max_tokens=6, temperature=0.8, top_p=0.9, n=2)
KINDS = ("plain", "lora", "prompt tuning", "prefix tuning", "p-tuning")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=["tiny_model", "tiny_t5", "untied_t5"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def live(folder: Path, kind: str) -> Any:
    """Return a model as a training has it, with what was added large enough to be heard."""
    model = BaseModel(folder).load(torch.float32)
    torch.manual_seed(3)
    match kind:
        case "lora":
            model = peft_model(model, "LoraConfig", r=4, init_lora_weights=False)
        case "prompt tuning":
            model = peft_model(model, "PromptTuningConfig", targets=None, num_virtual_tokens=4)
        case "prefix tuning":
            sizes = {"token_dim": 32} if model.config.is_encoder_decoder else {}
            model = peft_model(
                model, "PrefixTuningConfig", targets=None, num_virtual_tokens=4, **sizes
            )
        case "p-tuning":
            model = peft_model(model, "PromptEncoderConfig", targets=None, num_virtual_tokens=4)
    return model.eval()


def requests(generation: Generation, prompts: Sequence[tuple[int, ...]] = PROMPTS) -> list[Request]:
    return [
        Request(id=str(i), checkpoint="live", prompt=prompt, generation=generation, seed=i)
        for i, prompt in enumerate(prompts)
    ]


def answers(model: Any, wanted: list[Request], decoder: Decoder) -> dict[str, Completion]:
    return {answer.id: answer for answer in generate(model, wanted, decoder, batch_size=5)}


@pytest.mark.parametrize("generation", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_a_batch_is_what_it_is_alone(
    folder: Path, kind: str, generation: Generation
) -> None:
    model, decoder = live(folder, kind), Decoder.of(BaseModel(folder))
    wanted = requests(generation)
    together = answers(model, wanted, decoder)
    alone: dict[str, Completion] = {}
    for request in wanted:
        alone |= answers(model, [request], decoder)
    assert together == alone
    assert len({answer.tokens for answer in together.values()}) > 4


@pytest.mark.parametrize("kind", KINDS)
def test_each_token_is_the_likeliest_after_those_before(folder: Path, kind: str) -> None:
    """Generated with a cache, checked without: the model's own forward pass is the judge."""
    model = live(folder, kind)
    found = answers(model, requests(GREEDY), Decoder.of(BaseModel(folder)))
    for number, prompt in enumerate(PROMPTS):
        (written,) = found[str(number)].tokens
        after = logprobs.next_logprobs(model, prompt, written)
        assert after.argmax(-1)[:-1].tolist() == list(written)


def test_what_was_added_is_heard(folder: Path) -> None:
    said = {
        kind: str(answers(live(folder, kind), requests(GREEDY), Decoder.of(BaseModel(folder))))
        for kind in KINDS
    }
    assert len(set(said.values())) == len(KINDS)


def test_encoder_decoder_answers_are_what_generate_gives(tiny_t5: Path) -> None:
    model = live(tiny_t5, "plain")
    found = answers(model, requests(GREEDY), Decoder.of(BaseModel(tiny_t5)))
    for number, prompt in enumerate(PROMPTS):
        row = model.generate(input_ids=torch.tensor([prompt]), max_new_tokens=10, do_sample=False)
        start, *written = row[0].tolist()
        assert start == model.config.decoder_start_token_id
        assert list(found[str(number)].tokens[0]) == written


@pytest.mark.parametrize("kind", ["prompt tuning", "prefix tuning", "p-tuning"])
def test_a_learned_prompt_is_all_that_peft_adds(folder: Path, kind: str) -> None:
    model = live(folder, kind)
    learned = of_peft(model)
    assert isinstance(learned, Prefix if kind == "prefix tuning" else SoftPrompt)
    assert learned.tokens == 4
    wanted = logprobs.token_logprobs(model, PROMPTS)
    base = model.get_base_model()
    found = logprobs.token_logprobs(
        base, PROMPTS, lambda ids: learned.before(base, ids, ids.new_ones(ids.shape))
    )
    assert parity.largest_difference(found, wanted) < 1e-5
    assert parity.largest_difference(found, logprobs.token_logprobs(base, PROMPTS)) > 1e-2


def test_choices_are_ranked_by_what_the_model_says_of_them(folder: Path) -> None:
    model = live(folder, "plain")
    choices: tuple[tuple[int, ...], ...] = ((5,), (9, 12), (7, 8, 20))
    ranked = Request(
        id="r", checkpoint="live", prompt=PROMPTS[3], generation=GREEDY, choices=choices
    )
    next_token = Request(
        id="n", checkpoint="live", prompt=PROMPTS[3], generation=GREEDY, choices=((5,), (9,))
    )
    found = answers(model, [ranked, next_token], Decoder.of(BaseModel(folder)))
    for choice, value in zip(choices, found["r"].choices, strict=True):
        after = logprobs.next_logprobs(model, PROMPTS[3], choice)
        by_hand = sum(after[place, token].item() for place, token in enumerate(choice))
        assert value == pytest.approx(by_hand, abs=1e-5)
    assert found["n"].choices[0] == pytest.approx(found["r"].choices[0], abs=1e-5)


def test_what_a_models_folder_wants_generated_is_left_out_and_given_back(tiny_t5: Path) -> None:
    from transformers import GenerationConfig

    decoder = Decoder.of(BaseModel(tiny_t5))
    for kind in ("plain", "lora"):
        wanted = answers(live(tiny_t5, kind), requests(GREEDY), decoder)
        model = live(tiny_t5, kind)
        base = model.get_base_model() if kind == "lora" else model
        own = GenerationConfig(repetition_penalty=9.0, max_length=3, num_beams=2)
        base.generation_config = own
        assert answers(model, requests(GREEDY), decoder) == wanted
        assert base.generation_config is own


def test_a_model_that_computes_nan_is_named(folder: Path) -> None:
    model, decoder = live(folder, "plain"), Decoder.of(BaseModel(folder))
    next(model.parameters()).data.fill_(float("nan"))
    with pytest.raises(CheckpointOverflow, match="run live"):
        list(generate(model, requests(GREEDY), decoder, batch_size=5))


def test_nothing_was_asked(folder: Path) -> None:
    assert (
        list(generate(live(folder, "plain"), [], Decoder.of(BaseModel(folder)), batch_size=5)) == []
    )


def test_a_stop_text_ends_what_an_encoder_decoder_writes(tiny_t5: Path) -> None:
    """Its text begins anew, whatever the prompt ended in."""
    model, decoder = live(tiny_t5, "plain"), Decoder.of(BaseModel(tiny_t5))
    plain = answers(model, requests(GREEDY), decoder)
    name, text = next((k, c.texts[0]) for k, c in plain.items() if len(c.texts[0]) > 4)
    stop = text[2:4]
    stopped = answers(model, requests(Generation(max_tokens=10, stop=(stop,))), decoder)[name]
    assert stopped.texts[0] == text[: text.index(stop)]
    assert stopped.finish_reasons == ("stop",)
    assert len(stopped.tokens[0]) < len(plain[name].tokens[0])

"""Model cards say what the records say, load what was pushed, and trust no name."""

import ast
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from benchbench import ModelSpec, TaskSpec
from benchbench.boards.markdown import code, inert
from benchbench.contract.mix import Mix
from benchbench.contract.model import Model
from benchbench.contract.task import HubData
from benchbench.errors import BadParameter
from benchbench.publish.card import page
from benchbench.publish.push import Publication, Target
from benchbench.records.record import (
    Artefact,
    Cost,
    Instability,
    JudgeSpec,
    PluginOrigin,
    RunRecord,
    Selection,
    TaskResult,
)
from benchbench.registry.registry import Registry
from benchbench.specs import DataSpec
from tests import toys
from tests.toys import TRAIN, result, run_record

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TARGET = Target(repository="toys/new")
REGISTRY = toys.registry()


def trained(route: str = "lora", **changes: Any) -> RunRecord:
    artefact = Artefact(route=route, sha256="0", bytes=1234)
    return run_record(artefact=artefact, **changes)


def on(model: ModelSpec, record: RunRecord) -> RunRecord:
    return replace(record, spec=replace(record.spec, model=model))


HUB_MODEL = ModelSpec(name="org/base", revision=COMMIT, tokenizer="0")


def publication(
    record: RunRecord, *results: TaskResult, others: tuple[RunRecord, ...] = (), **files: Path
) -> Publication:
    return Publication(
        run=record,
        files={name.replace("__", "."): path for name, path in files.items()},
        results=(results,) if results else (),
        runs={each.run_id: each for each in (record, *others)},
    )


def front(card: str) -> dict[str, Any]:
    _, matter, _ = card.split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(matter)
    return found


def card_of(record: RunRecord, **options: Any) -> str:
    return page(publication(record), options.pop("target", TARGET), REGISTRY, **options)


def test_the_front_matter_says_what_the_hub_needs() -> None:
    card = card_of(on(HUB_MODEL, trained()), licence="apache-2.0")
    assert front(card) == {
        "base_model": "org/base",
        "base_model_revision": COMMIT,
        "base_model_relation": "adapter",
        "library_name": "peft",
        "license": "apache-2.0",
        "tags": ["benchbench", "part"],
    }


def test_a_model_from_a_folder_is_not_taken_for_a_namesake_on_the_hub() -> None:
    local = ModelSpec(name="org/base", revision="sha256:0", tokenizer="0")
    card = card_of(on(local, trained()))
    assert not {"base_model", "license"} & set(front(card))
    assert "`org/base` came from a folder" in card


def test_a_registered_model_is_named_as_the_hub_does() -> None:
    models = {"mine": Model(name="mine", path="org/real", revision=COMMIT)}
    registry = replace(REGISTRY, models=models)
    record = on(replace(HUB_MODEL, name="mine"), trained())
    card = page(publication(record), TARGET, registry)
    assert front(card)["base_model"] == "org/real"
    assert "--model mine" in card


@pytest.mark.parametrize(
    ("route", "library", "relation"),
    [
        ("lora", "peft", "adapter"),
        ("transformers", "peft", "adapter"),
        ("weights", "transformers", "finetune"),
        ("soft_prompt", None, "adapter"),
        ("prefix", None, "adapter"),
        ("modules", None, "adapter"),
    ],
)
def test_each_route_says_how_it_is_loaded(route: str, library: str | None, relation: str) -> None:
    card = card_of(on(HUB_MODEL, trained(route)), target=Target(repository="a/b", branch="v2"))
    assert front(card).get("library_name") == library
    assert front(card)["base_model_relation"] == relation
    blocks = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    if library is None:
        assert not blocks and f"`{route}.safetensors`" in card
        return
    (block,) = blocks
    ast.parse(block)
    place = '"a/b", revision="v2"'
    loads = f', dtype="float32")\nmodel = PeftModel.from_pretrained(base, {place})'
    if library == "transformers":
        loads = f"AutoModelForCausalLM.from_pretrained({place})"
    assert loads in block
    assert f'AutoTokenizer.from_pretrained("org/base", revision="{COMMIT}")' in block


def test_the_code_loads_what_was_trained(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base, adapter = tmp_path / "base", tmp_path / "adapter"
    stored: Any = AutoModelForCausalLM.from_pretrained(tiny_model).bfloat16()
    stored.save_pretrained(base)  # which transformers reads in bfloat16, unless it is told
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(base)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    whole = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = get_peft_model(whole, config)
    model.save_pretrained(str(adapter))
    (block,) = re.findall(r"```python\n(.*?)```", card_of(trained()), re.S)
    block = block.replace("FOLDER OF THE BASE MODEL", str(base)).replace("toys/new", str(adapter))
    found: dict[str, Any] = {}
    exec(block, found)
    assert isinstance(found["model"], PeftModel)
    ids = found["tokenizer"]("the cat sat", return_tensors="pt").input_ids
    with torch.no_grad():
        expected = model.eval()(input_ids=ids).logits
        torch.testing.assert_close(found["model"](input_ids=ids).logits, expected)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("adapter_config.json", {"task_type": "SEQ_2_SEQ_LM"}),
        ("config.json", {"is_encoder_decoder": True}),
    ],
)
def test_encoder_decoders_are_loaded_as_such(
    name: str, config: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(json.dumps(config))
    found = publication(trained("weights"), **{name.replace(".", "__"): path})
    card = page(found, TARGET, REGISTRY)
    assert "AutoModelForSeq2SeqLM" in card and "AutoModelForCausalLM" not in card


def test_the_card_says_what_the_record_says() -> None:
    record = trained(
        params={"size": 3},
        cost=Cost(
            total_parameters=2000,
            trainable_parameters=10,
            steps=77,
            train_tokens=12345,
            train_seconds=60.0,
            peak_memory_bytes=3_000_000,
            peak_memory_kind="cuda_allocated",
            energy_joules=7200.0,
            forgetting=0.25,
        ),
        selection=Selection(step=44, score=0.5, curve={0: 0.125, 44: 0.5}),
        instabilities=(
            Instability(kind="explosion", step=9, value=12.5),
            Instability(kind="nan", step=10),
        ),
        environment={"packages": {"torch": "2.13"}},
    )
    card = card_of(record)
    for text in (
        "`size=3`",
        f"`{TRAIN.data.digest}`",
        "seed 1, profile `standard`, float32, 77 steps of 16 samples",
        "the weights after step 44, which scored 50.00 (untrained 12.50)",
        "explosion at step 9 (12.5), nan at step 10",
        "10 of 2,000 parameters trained (0.50 %)",
        "12,345 tokens in 60.0 s",
        "3 MB of memory of the card",
        "2 Wh by the card's counter",
        "forgetting: +0.250 nats",
        "`torch 2.13`",
        "Not evaluated yet.",
    ):
        assert text in card
    plain = card_of(trained())
    assert "the weights after the last step" in plain and "none was seen" in plain


def test_scores_stand_beside_base_and_reference() -> None:
    record, base, whole = trained(), run_record("untuned"), run_record("whole")
    results = [
        result(record, 0.5, 0.25),
        result(base, 0.0, 0.0),
        result(whole, 0.75, 0.25),
    ]
    card = page(publication(record, *results, others=(base, whole)), TARGET, REGISTRY)
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in card.splitlines()
        if "|" in line
    ]
    assert [row[:3] for row in rows[2:]] == [
        ["whole", "50.00", "25.00 to 75.00"],
        ["part (this run)", "37.50", "25.00 to 50.00"],
        ["untuned", "0.00", "0.00 to 0.00"],
    ]
    assert "Parity passed: over 9 tokens" in card and "1.0e-06 nats" in card
    assert "no base model" not in card
    alone = page(publication(record, results[0]), TARGET, REGISTRY)
    assert "no base model or full finetuning may stand beside it" in alone


def test_a_result_that_proves_nothing_says_so() -> None:
    record = trained()
    failed = replace(toys.PARITY, passed=False)
    for parity, text in ((None, "was not shown"), (failed, "Parity failed")):
        card = page(publication(record, result(record, 0.5, parity=parity)), TARGET, REGISTRY)
        assert text in card and "part (not publishable) (this run)" in card.replace("\\", "")


def with_hub(registry: Registry) -> Registry:
    hub = HubData(repository="org/words", revision=COMMIT, files={})
    echo = type("Echo", (registry.tasks["echo"],), {"hub": hub})
    return replace(registry, tasks={**registry.tasks, "echo": echo})


def test_data_sets_are_named_where_they_are_known() -> None:
    registry = with_hub(REGISTRY)
    real = replace(TRAIN, data=DataSpec(source="folder", digest="1"))
    component = {"label": "echo", "count": 2, "task": asdict(TRAIN.task)}
    params = {"seed": 1, "components": [component, component | {"label": "`x|"}]}
    mix = TaskSpec(name="blend", protocol="mix", version=1, params=params)
    for train in (real, replace(real, task=mix)):
        card = page(publication(trained(train=train)), TARGET, registry)
        assert front(card)["datasets"] == ["org/words"]
        assert "--data DATA" in card
    assert "`echo: 2`, `` `x|: 2 ``" in card and "--train-on MIX.toml" in card
    known = replace(registry, mixes={"blend": Mix(name="blend", seed=1, components=())})
    assert "--train-on blend" in page(
        publication(trained(train=replace(real, task=mix))), TARGET, known
    )
    assert "datasets" not in front(page(publication(trained()), TARGET, registry))


HOSTILE = [
    "</p><script>alert(1)</script>",
    "[here](http://evil.example)",
    "![seen](http://evil.example/x.png)",
    "<http://evil.example>",
    "www.evil.example",
    "one\n\n# Title\n\n- list",
    "```\n\n# out of the block\n```",
    "``tick`",
    "`",
    "a | b | c",
    "---\nlicense: mit\n---",
    "*bold* _it_ ~~no~~ $$x$$",
    "&lt;b&gt; \\",
    "\u202eright to left\x00",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_markup(name: str) -> None:
    origin = PluginOrigin(plugin=name, distribution=name, version=name)
    train = replace(TRAIN, task=TaskSpec(name=name, protocol=name, params={name: name}))
    record = trained(
        params={name: name},
        origin=origin,
        train=train,
        environment={"packages": {name: name}},
        created=name,
    )
    model = ModelSpec(name=name, revision=name, tokenizer="0")
    spec = replace(record.spec, model=model, method=replace(record.spec.method, name=name))
    record = replace(record, spec=spec)
    found = result(record, 0.5)
    engine = replace(found.spec.engine, name=name, version=name, device=name)
    judge = JudgeSpec(model=name, revision=name, served_by=name, wording="0")
    task = TaskSpec(name=name, protocol=name, params={name: name})
    found = replace(
        found,
        spec=replace(found.spec, engine=engine, judge=judge, task=task, opponent=f"{name}:0"),
        metric="same",
        cluster="kind",
    )
    card = page(publication(record, found), TARGET, REGISTRY)
    assert set(front(card)) == {"library_name", "tags"}
    assert all(re.fullmatch(r"[a-z0-9.-]+", tag) for tag in front(card)["tags"])
    body = card.split("---\n", 2)[2]
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(body)
    flat = [t for token in tokens for t in (token, *(token.children or ()))]
    kinds = [token.type for token in flat]
    strange = {
        "link_open",
        "image",
        "html_block",
        "html_inline",
        "em_open",
        "strong_open",
        "s_open",
    }
    assert not strange & set(kinds)
    titles = [token.markup for token in flat if token.type == "heading_open"]
    assert titles == ["#", "##", "##", "##", "###", "##", "##", "##"]
    assert kinds.count("table_open") == 1 and kinds.count("tr_open") == 2
    assert kinds.count("td_open") == kinds.count("th_open")
    assert kinds.count("fence") == 2
    # Addresses become links on the hub even without markup, but not in code.
    raw = re.sub(r"(`+).*?\1", "", body, flags=re.DOTALL)
    assert "www.evil" not in raw and "http://evil" not in raw
    assert "\x00" not in card and "\u202e" not in card


@pytest.mark.parametrize("text", [*HOSTILE, "", "plain"])
def test_a_name_is_shown_as_it_is(text: str) -> None:
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    spans = MarkdownIt("commonmark").parseInline(code(text))[0].children or []
    if shown:
        assert [(span.type, span.content) for span in spans] == [("code_inline", shown)]
    tokens = MarkdownIt("commonmark").parseInline(inert(text))[0].children or []
    assert "".join(t.content for t in tokens) == shown


@pytest.mark.parametrize("licence", ["", "my own", "mit\nx: y", '"', "-"])
def test_a_licence_that_is_none_is_refused(licence: str) -> None:
    with pytest.raises(BadParameter, match="such as apache-2"):
        card_of(trained(), licence=licence)

"""The pairs of source and target that nano-t5 is pretrained on: a pure function of a seed.

The words, skills and documents are nano's; only what is asked of them differs. T5 learns by span
corruption (places of the source are left out and the target fills them in) and, as the
`lm-adapt` versions do, by going on with a text (arXiv 1910.10683, sections 3.1.4 and 3.2.3). Like
nano it never meets the prompt format of Super-NaturalInstructions or the input of a test instance.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from benchbench_plugins.nano.pretraining import corpus
from benchbench_plugins.nano.pretraining.corpus import is_clean, labelled, skills
from benchbench_plugins.nano.pretraining.skills import Example, Skill
from benchbench_plugins.nano.pretraining.world import PEOPLE, WORDS

from .tokenizer import SENTINELS

Kinds = tuple[Callable[[Random], str], ...]


class Pair(NamedTuple):
    """What the encoder reads and what the decoder shall write."""

    source: str
    target: str


def _question(random: Random) -> Pair:
    """Ask one thing, after up to two examples; the target is the bare answer."""
    skill = random.choice(skills())
    *shown, last = (skill.make(random) for _ in range(random.choice((1, 1, 1, 1, 1, 1, 1, 2, 3))))
    asking, giving, answering = labelled(random)
    head = asking.format(skill.instruction(random))
    if random.random() < 0.3:
        head, giving, answering = skill.instruction(random), "{}", "{}"
    blocks = [f"{giving.format(e.input)}\n{answering.format(e.outputs[0])}" for e in shown]
    blocks.append(f"{giving.format(last.input)}\n{answering.format('')}")
    separator = random.choice(("\n\n", "\n"))
    return Pair(separator.join([head, *blocks]).rstrip("\n"), last.outputs[0])


def _questions(random: Random) -> Pair:
    """Ask several things at once and leave out every answer: many answers from one reading."""
    asking, giving, answering = labelled(random)
    blocks, answers = [], []
    for number, (skill, example) in enumerate(_asked(random)):
        head = asking.format(skill.instruction(random))
        place = answering.format(SENTINELS[number])
        blocks.append(f"{head}\n{giving.format(example.input)}\n{place}")
        answers.append(SENTINELS[number] + example.outputs[0])
    return Pair("\n\n".join(blocks), "".join(answers))


def _asked(random: Random) -> list[tuple[Skill, Example]]:
    """Draw two to five skills, in half of the cases some that read the same kind of input."""
    family = skills()
    if random.random() < 0.5:
        noun = random.choice(family).noun
        family = tuple(skill for skill in family if skill.noun == noun)
    chosen = random.choices(family, k=random.randint(2, 5))
    return [(skill, skill.make(random)) for skill in chosen]


def _row(random: Random) -> Pair:
    """Ask the same thing of several inputs; every answer is left out but perhaps the first."""
    skill = random.choice(skills())
    examples = [skill.make(random) for _ in range(random.randint(3, 7))]
    asking, giving, answering = labelled(random)
    blocks, answers = [asking.format(skill.instruction(random))], []
    for number, example in enumerate(examples):
        shown = not number and random.random() < 0.5
        answer = example.outputs[0] if shown else SENTINELS[len(answers)]
        blocks.append(f"{giving.format(example.input)}\n{answering.format(answer)}")
        if not shown:
            answers.append(SENTINELS[len(answers)] + example.outputs[0])
    return Pair("\n\n".join(blocks), "".join(answers))


def _corrupted(random: Random) -> Pair:
    """Leave out about a fifth of the words of a text, in spans of one to five."""
    words = re.findall(r"\s*\S+", _text(random))
    source, target, at, marks = [], [], 0, 0
    while at < len(words):
        if random.random() < 0.08 and marks < len(SENTINELS):
            end = at + random.randint(1, 5)
            source.append(SENTINELS[marks])
            target += [SENTINELS[marks], *words[at:end]]
            at, marks = end, marks + 1
        else:
            source.append(words[at])
            at += 1
    return Pair("".join(source), "".join(target))


def _text(random: Random) -> str:
    kinds = (corpus.story, corpus.facts, corpus.echo, corpus.reshape, corpus.look_up)
    return _clean(random, kinds, (40, 20, 10, 15, 15))


def _clean(random: Random, kinds: Kinds, shares: tuple[int, ...]) -> str:
    """Draw a text without a test input before it is torn: no check would find one afterwards."""
    while not is_clean(text := random.choices(kinds, shares)[0](random)):
        pass
    return text


def _continued(random: Random) -> Pair:
    """Cut a text in two, anywhere between two words; the target is the second part."""
    kinds = (corpus.echo, corpus.reshape, corpus.look_up, corpus.story)
    text = _clean(random, kinds, (20, 35, 35, 10))
    cuts = [match.start() for match in re.finditer(r"\s", text)]
    cut = random.choice(cuts[len(cuts) // 3 :] or [len(text) // 2])
    return Pair(text[:cut], text[cut:].strip())


def _copied(random: Random) -> Pair:
    """Say a row of words again: the plainest thing that needs the source."""
    row = random.choices((*WORDS, *PEOPLE), k=random.randint(3, 16))
    return Pair(" ".join(row), " ".join(row))


def _relaid(random: Random) -> Pair:
    """Say a row of words again in another layout."""
    row = random.choices((*WORDS, *PEOPLE), k=random.randint(3, 12))
    read, written = random.choices((" ", ", ", "\n", " - ", "; "), k=2)
    return Pair(read.join(row), written.join(row))


KINDS_OF_PAIR = (_copied, _relaid, _question, _questions, _row, _corrupted, _continued)
SHARES = (3, 12, 45, 15, 8, 7, 10)
"""The percent of each kind."""


def pair(seed: int, index: int, part: str = "train") -> Pair:
    """Make one pair; `part` keeps training and held-out text apart."""
    for attempt in range(100):
        random = Random(f"t5/{seed}/{part}/{index}/{attempt}")
        made = random.choices(KINDS_OF_PAIR, SHARES)[0](random)
        whole = re.sub(r"<extra_id_\d+>", " ", "\n".join(made))
        if made.target and is_clean(whole):
            return made
    raise AssertionError("the corpus can no longer avoid the test instances")

"""The text that nano is pretrained on: a pure function of a seed.

Skills come in many surface formats, but never in the prompt format of Super-NaturalInstructions,
and no document holds the input of a sample task's test instance (`sample.held_out_inputs`).
"""

from __future__ import annotations

import json
from functools import cache
from random import Random

from .catalogue import all_skills
from .sample import held_out_inputs
from .skills import Example, Skill
from .world import (
    KINDS,
    MONTHS,
    NUMBERS,
    OPPOSITES,
    PEOPLE,
    TOPICS,
    TOWNS,
    WORDS,
    Scene,
    article,
    kind_name,
    listing,
    pronoun,
)

NEVER_SHOWN = frozenset({"vehicle", "tool", "passive"})
"""Skills kept out of the corpus, so that some tasks of the sample are new in kind."""

ASKING = ("Instruction", "Task", "Goal", "Exercise", "Rule", "Order", "Please", "What to do")
GIVING = ("Input", "Text", "Given", "Data", "In", "Source", "Q", "Material", "Example", "Case")
ANSWERING = ("Output", "Answer", "Result", "Response", "A", "Solution", "Out", "Reply")
LABELS = (
    ("", ": "),
    ("", ":\n"),
    ("", ":\n"),
    ("### ", "\n"),
    ("[", "]\n"),
    ("<", "> "),
    ("**", "** "),
    ("", " = "),
    ("- ", ": "),
    ("# ", "\n\n"),
)
PLAIN = ("{0} -> {1}", "{0}\n{1}", "{0} | {1}", "{0} => {1}", "{0}\n- {1}", "{0}\n\n{1}")


@cache
def skills() -> tuple[Skill, ...]:
    """List the skills that the corpus shows."""
    return tuple(skill for name, skill in all_skills().items() if name not in NEVER_SHOWN)


def labelled(random: Random) -> tuple[str, str, str]:
    """Draw one consistent way to mark instruction, input and answer, as three templates."""
    opening, closing = random.choice(LABELS)
    words = [random.choice(choices) for choices in (ASKING, GIVING, ANSWERING)]
    case = random.choice((str, str, str.lower))
    asking, giving, answering = (f"{opening}{case(word)}{closing}{{}}" for word in words)
    return asking, giving, answering


def _pair(example: Example, giving: str, answering: str) -> str:
    return f"{giving.format(example.input)}\n{answering.format(example.outputs[0])}"


def _few_shot(random: Random) -> str:
    """Show one skill several times; the instruction stands above or is left out."""
    skill = random.choice(skills())
    examples = [skill.make(random) for _ in range(random.randint(2, 6))]
    asking, giving, answering = labelled(random)
    head = skill.instruction(random)
    style = random.random()
    if style < 0.25:
        line = random.choice(PLAIN)
        blocks = [line.format(example.input, example.outputs[0]) for example in examples]
    elif style < 0.32:
        blocks = [json.dumps({"x": e.input, "y": e.outputs[0]}) for e in examples]
    else:
        blocks = [_pair(example, giving, answering) for example in examples]
        head = asking.format(head)
    if random.random() < 0.75:
        blocks.insert(0, head)
    return random.choice(("\n\n", "\n\n", "\n", "\n---\n")).join(blocks)


def _mixed(random: Random) -> str:
    """Change the skill at every step, so that only the instruction tells what to do."""
    asking, giving, answering = labelled(random)
    if random.random() < 0.25:
        asking = giving = answering = "{}"
    blocks = []
    for _ in range(random.randint(2, 5)):
        skill = random.choice(skills())
        pair = _pair(skill.make(random), giving, answering)
        blocks.append(f"{asking.format(skill.instruction(random))}\n{pair}")
    return random.choice(("\n\n", "\n\n", "\n===\n")).join(blocks)


def _choices(random: Random) -> str:
    """Ask several things of one kind of input, so that the instruction cannot be guessed."""
    asking, giving, answering = labelled(random)
    first = random.choice(skills())
    family = [skill for skill in skills() if skill.noun == first.noun]
    blocks = []
    for skill in random.choices(family, k=random.randint(2, 5)):
        pair = _pair(skill.make(random), giving, answering)
        blocks.append(f"{asking.format(skill.instruction(random))}\n{pair}")
    return "\n\n".join(blocks)


def _chat(random: Random) -> str:
    """Write the turns of the chat template."""
    turns = []
    for _ in range(random.choice((1, 1, 2, 3))):
        skill = random.choice(skills())
        example = skill.make(random)
        request = f"{skill.instruction(random)}\n{example.input}"
        turns.append(f"<|user|>\n{request}\n<|assistant|>\n{example.outputs[0]}")
    return "\n".join(turns)


def story(random: Random) -> str:
    """Tell of two people in some sentences, with a title or a dialogue now and then."""
    scene = Scene.draw(random)
    parts = ["going", "acting", "elsewhere", "company", "mood"]
    rest = random.sample(parts[1:], random.randint(2, 4))
    sentences = [getattr(scene, part)(random) for part in ("going", *rest)]
    if random.random() < 0.4:
        sentences.append(
            f'{scene.friend} asked {scene.person}: "Where is the {scene.thing}?" '
            f'"The {scene.colour} {scene.thing} is in the {scene.place}," '
            f"{pronoun(scene.person)} answered."
        )
    title = f"{scene.person} and the {scene.colour} {scene.thing}\n\n"
    return (title if random.random() < 0.4 else "") + " ".join(sentences)


def facts(random: Random) -> str:
    """State what words mean: kinds, opposites, topics, order of numbers and months."""
    lines = []
    for _ in range(random.randint(4, 10)):
        kind = random.choice(list(KINDS))
        word, other = random.sample(KINDS[kind], 2)
        first, second = random.sample(random.choice(OPPOSITES), 2)
        topic = random.choice(list(TOPICS))
        about = random.sample(TOPICS[topic], 3)
        number = random.randrange(20)
        lines.append(
            random.choice(
                (
                    f"{article(word).capitalize()} is {article(kind_name(kind))}.",
                    f"The {word} and the {other} are of one kind: {kind_name(kind)}.",
                    f"{first.capitalize()} is the opposite of {second}.",
                    f"{listing(about).capitalize()} have to do with {topic}.",
                    f"The number {NUMBERS[number + 1]} comes after {NUMBERS[number]}.",
                    f"{number} is written {NUMBERS[number]}.",
                    f"{random.choice(MONTHS)} is a month and {random.choice(TOWNS)} is a town.",
                    f"{random.choice(PEOPLE)} is a name.",
                )
            )
        )
    return random.choice((" ", "\n")).join(lines)


def echo(random: Random) -> str:
    """Repeat a row of words or characters, which teaches copying early."""
    if random.random() < 0.7:
        row = [random.choice(WORDS) for _ in range(random.randint(4, 12))]
    else:
        ranges = ((33, 126), (0xA1, 0x17F), (0x391, 0x44F), (0x4E00, 0x9FFF), (0x1F300, 0x1F5FF))
        low, high = random.choice(ranges)
        row = [chr(random.randint(low, high)) for _ in range(random.randint(3, 8))]
    separator = random.choice((" ", ", ", "\n", " - "))
    text = separator.join(row)
    return "\n".join([text] * random.randint(2, 3))


def reshape(random: Random) -> str:
    """Repeat a row of words in other layouts: a word is copied whatever stands before it."""
    row = random.choices((*WORDS, *PEOPLE), k=random.randint(5, 24))
    separators = random.choices((" ", ", ", "\n", "\n", " - ", " / ", "; "), k=3)
    return "\n\n".join(separator.join(row) for separator in separators)


def look_up(random: Random) -> str:
    """Write a small dictionary of random pairs, then ask for its entries in another order."""
    keys = random.sample((*WORDS, *PEOPLE), random.randint(3, 8))
    values = random.sample((*WORDS, *PEOPLE), len(keys))
    line = random.choice(("{0}: {1}", "{0}\n{1}\n", "{0} -> {1}", "{0} = {1}", "{0} has {1}."))
    pairs = [line.format(key, value) for key, value in zip(keys, values, strict=True)]
    return "\n".join([*pairs, *random.sample(pairs, len(pairs))])


KINDS_OF_DOCUMENT = (
    _few_shot,
    _mixed,
    _choices,
    _chat,
    story,
    facts,
    echo,
    reshape,
    look_up,
)
STAGES = (
    (0, (30, 25, 12, 10, 12, 6, 5, 0, 0)),
    (26_000, (10, 8, 4, 2, 4, 2, 10, 40, 20)),
    (44_000, (26, 30, 14, 10, 4, 4, 2, 6, 4)),
)
"""From which document on, and the percent of each kind in the order of KINDS_OF_DOCUMENT.

First words and grammar; then, in the second stage, mostly copying, which so small a model would
otherwise take far longer to find; then the skills again, now that it can copy.
"""


def is_clean(text: str) -> bool:
    """Tell whether a text holds no input of a test instance."""
    return not any(held_out in text for held_out in held_out_inputs())


def document(seed: int, index: int, part: str = "train") -> str:
    """Make one document; `part` keeps training and held-out text apart."""
    shares = [shares for start, shares in STAGES if start <= index][-1]
    for attempt in range(100):
        random = Random(f"{seed}/{part}/{index}/{attempt}")
        text = random.choices(KINDS_OF_DOCUMENT, shares)[0](random)
        if is_clean(text):
            return text
    raise AssertionError("the corpus can no longer avoid the test instances")

"""Skills that turn one sentence into another."""

from __future__ import annotations

from random import Random

from .skills import Example, Skill
from .world import COLOURS, DAYS, KINDS, NUMBERS, PEOPLE, PLACES, THINGS, TOWNS, VERBS, article
from .world import pronoun as pronoun_of


def _past(random: Random) -> Example:
    person, verb, thing = random.choice(PEOPLE), random.choice(VERBS), random.choice(THINGS)
    rest = f"the {thing} in the {random.choice(PLACES)}."
    return Example(f"{person} {verb.present} {rest}", (f"{person} {verb.past} {rest}",))


def _future(random: Random) -> Example:
    person, verb, thing = random.choice(PEOPLE), random.choice(VERBS), random.choice(THINGS)
    rest = f"the {thing} in the {random.choice(PLACES)}."
    return Example(f"{person} {verb.present} {rest}", (f"{person} will {verb.base} {rest}",))


def _negation(random: Random) -> Example:
    person, place = random.choice(PEOPLE), random.choice(PLACES)
    thing, colour = random.choice(THINGS), random.choice(COLOURS)
    before, after = random.choice(
        (
            (f"{person} is", f"in the {place} with the {colour} {thing}."),
            (f"The {thing} in the {place} is", f"{colour}."),
            (f"{person} will", f"come to the {place} on {random.choice(DAYS)}."),
            (f"{person} can", f"see the {colour} {thing}."),
        )
    )
    return Example(f"{before} {after}", (f"{before} not {after}",))


def _passive(random: Random) -> Example:
    person, verb = random.choice(PEOPLE), random.choice(VERBS)
    thing = f"{random.choice(COLOURS)} {random.choice(THINGS)}"
    return Example(
        f"{person} {verb.past} the {thing}.", (f"The {thing} was {verb.participle} by {person}.",)
    )


def _ask_where(random: Random) -> Example:
    person, verb, place = random.choice(PEOPLE), random.choice(VERBS), random.choice(PLACES)
    thing = f"{random.choice(COLOURS)} {random.choice(THINGS)}"
    return Example(
        f"{person} {verb.past} the {thing} in the {place}.",
        (f"Where did {person} {verb.base} the {thing}?",),
    )


def _ask_who(random: Random) -> Example:
    person, verb, place = random.choice(PEOPLE), random.choice(VERBS), random.choice(PLACES)
    thing = f"{random.choice(COLOURS)} {random.choice(THINGS)}"
    return Example(
        f"{person} {verb.past} the {thing} in the {place}.",
        (f"Who {verb.past} the {thing} in the {place}?", f"Who {verb.past} the {thing}?"),
    )


def _ask_what(random: Random) -> Example:
    person, verb, place = random.choice(PEOPLE), random.choice(VERBS), random.choice(PLACES)
    thing = f"{random.choice(COLOURS)} {random.choice(THINGS)}"
    return Example(
        f"{person} {verb.past} the {thing} in the {place}.", (f"What did {person} {verb.base}?",)
    )


def _sentence_type(random: Random) -> Example:
    """Questions keep no question mark, so that the words must be read."""
    verb, thing = random.choice(VERBS), f"the {random.choice(COLOURS)} {random.choice(THINGS)}"
    person, place = random.choice(PEOPLE), random.choice(PLACES)
    sentence, label = random.choice(
        (
            (f"did {person} {verb.base} {thing} in the {place}", "question"),
            (f"where did {person} {verb.base} {thing}", "question"),
            (f"who {verb.past} {thing} in the {place}", "question"),
            (f"{verb.base} {thing} in the {place}, {person}", "command"),
            (f"please {verb.base} {thing} now", "command"),
            (f"{person} {verb.past} {thing} in the {place}", "statement"),
            (f"the {thing.split()[-1]} is in the {place} with {person}", "statement"),
        )
    )
    return Example(sentence, (label,))


def _use_pronoun(random: Random) -> Example:
    person, verb, place = random.choice(PEOPLE), random.choice(VERBS), random.choice(PLACES)
    rest = f"{verb.past} {article(random.choice(THINGS))} in the {place}."
    return Example(f"{person} {rest}", (f"{pronoun_of(person).capitalize()} {rest}",))


def _data_to_text(random: Random) -> Example:
    name, job, town = random.choice(PEOPLE), random.choice(KINDS["job"]), random.choice(TOWNS)
    return Example(
        f"name: {name}; job: {job}; town: {town}",
        (f"{name} is {article(job)} in {town}.", f"{name} is {article(job)} from {town}."),
    )


def _text_to_data(random: Random) -> Example:
    name, job, town = random.choice(PEOPLE), random.choice(KINDS["job"]), random.choice(TOWNS)
    return Example(
        f"{name} is {article(job)} in {town}.", (f"name: {name}; job: {job}; town: {town}",)
    )


def _pet_to_text(random: Random) -> Example:
    owner, animal = random.choice(PEOPLE), random.choice(KINDS["animal"])
    colour, number = random.choice(COLOURS), random.randint(2, 12)
    return Example(
        f"owner: {owner}; animal: {animal}; colour: {colour}; age: {number}",
        (f"{owner} has {article(colour)} {animal} that is {NUMBERS[number]} years old.",),
    )


def _agreement(random: Random) -> Example:
    person, verb = random.choice(PEOPLE), random.choice(VERBS)
    rest = f"the {random.choice(COLOURS)} {random.choice(THINGS)} in the {random.choice(PLACES)}."
    return Example(f"{person} {verb.base} {rest}", (f"{person} {verb.present} {rest}",))


def _grammatical(random: Random) -> Example:
    person, verb = random.choice(PEOPLE), random.choice(VERBS)
    good = random.random() < 0.5
    form = verb.present if good else verb.base
    rest = f"the {random.choice(COLOURS)} {random.choice(THINGS)} in the {random.choice(PLACES)}."
    return Example(f"{person} {form} {rest}", ("correct" if good else "wrong",))


def _without_colour(random: Random) -> Example:
    person, verb, place = random.choice(PEOPLE), random.choice(VERBS), random.choice(PLACES)
    colour, thing = random.choice(COLOURS), random.choice(THINGS)
    return Example(
        f"{person} {verb.past} the {colour} {thing} in the {place}.",
        (f"{person} {verb.past} the {thing} in the {place}.",),
    )


def _gap(random: Random) -> Example:
    verb, thing = random.choice(VERBS), random.choice(THINGS)
    person, place = random.choice(PEOPLE), random.choice(PLACES)
    whole = (person, thing, place)
    hidden = random.randrange(3)
    shown = ["_" if index == hidden else word for index, word in enumerate(whole)]
    return Example(
        f"{person} {verb.past} the {thing} in the {place}.\n"
        f"{shown[0]} {verb.past} the {shown[1]} in the {shown[2]}.",
        (whole[hidden],),
    )


def _copy(random: Random) -> Example:
    sentence = random.choice((_past, _passive, _ask_where, _pet_to_text))(random).input
    return Example(sentence, (sentence,))


SKILLS = (
    Skill("past", "sentence", ("Put the sentence into the past.", "Write it in the past tense.",
        "Say that it happened before."), _past),
    Skill("future", "sentence", ("Put the sentence into the future.",
        "Write it in the future tense.", "Say that it will happen."), _future,
        "Use the word will."),
    Skill("negation", "sentence", ("Say the contrary with not.", "Negate the sentence.",
        "Make the sentence negative."), _negation, "Use the word not."),
    Skill("passive", "sentence", ("Write the sentence in the passive.",
        "Begin with the thing and say by whom.", "Turn the sentence into the passive voice."),
        _passive),
    Skill("ask where", "sentence", ("Ask where it happened.", "Make a question about the place.",
        "Write a question that begins with where."), _ask_where),
    Skill("ask who", "sentence", ("Ask who did it.", "Make a question about the person.",
        "Write a question that begins with who."), _ask_who),
    Skill("ask what", "sentence", ("Ask what the person did it to.",
        "Make a question about the thing.", "Write a question that begins with what."),
        _ask_what, "Leave out the place."),
    Skill("sentence type", "sentence", ("Is it a question, a command or a statement?",
        "Name the type of the sentence.", "Label it as question, command or statement."),
        _sentence_type, "Answer with one word."),
    Skill("use pronoun", "sentence", ("Use a pronoun for the person.",
        "Put he or she in place of the name.", "Replace the name by a pronoun."), _use_pronoun),
    Skill("data to text", "record", ("Make a sentence of the record.",
        "Write the data as a sentence.", "Tell it in words."), _data_to_text),
    Skill("text to data", "sentence", ("Make a record of the sentence.",
        "Write the name, the job and the town as data.", "Turn the text into data."),
        _text_to_data),
    Skill("pet to text", "record of an animal", ("Make a sentence of the record.",
        "Write the data as a sentence.", "Describe the animal in words."), _pet_to_text),
    Skill("agreement", "sentence", ("Correct the grammar.", "Mend the mistake in the verb.",
        "Write the sentence without the mistake."), _agreement),
    Skill("grammatical", "sentence", ("Is the grammar correct or wrong?",
        "Say correct if the verb is right and wrong if not.", "Judge the grammar."),
        _grammatical, "Answer with one word."),
    Skill("without colour", "sentence", ("Leave out the colour.", "Remove the colour word.",
        "Write the sentence without the colour."), _without_colour),
    Skill("gap", "pair of sentences", ("Fill in the blank.", "Find the missing word.",
        "Which word belongs in the gap?"), _gap, "Answer with one word."),
    Skill("copy", "sentence", ("Copy the sentence.", "Repeat the text.", "Say it again."), _copy),
)  # fmt: skip

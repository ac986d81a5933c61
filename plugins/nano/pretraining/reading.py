"""Skills that read a short text and answer about it."""

from __future__ import annotations

from random import Random

from .skills import Example, Skill
from .world import (
    BAD_FEELINGS,
    COLOURS,
    GOOD_FEELINGS,
    KINDS,
    NUMBERS,
    PLACES,
    THINGS,
    TOPICS,
    VERBS,
    Scene,
    article,
    listing,
    pronoun,
)


def _text(scene: Scene, random: Random, parts: str) -> str:
    """Join the named sentences; the first keeps its place and the others are shuffled."""
    rest = parts.split()[1:]
    random.shuffle(rest)
    return " ".join(getattr(scene, part)(random) for part in (parts.split()[0], *rest))


def _both(answer: str) -> tuple[str, ...]:
    """Accept an answer alone and with its article; alone comes first."""
    return (answer, f"the {answer}")


def _colour(random: Random) -> Example:
    scene = Scene.draw(random)
    return Example(_text(scene, random, "going acting mood"), (scene.colour,))


def _place(random: Random) -> Example:
    scene = Scene.draw(random)
    return Example(_text(scene, random, "going acting mood"), _both(scene.place))


def _day(random: Random) -> Example:
    scene = Scene.draw(random)
    return Example(_text(scene, random, "going acting company"), (scene.day,))


def _thing(random: Random) -> Example:
    scene = Scene.draw(random)
    text = _text(scene, random, "going acting elsewhere")
    return Example(text, (scene.thing, f"{scene.colour} {scene.thing}"))


def _animal(random: Random) -> Example:
    scene = Scene.draw(random)
    return Example(_text(scene, random, "going company acting"), (scene.animal,))


def _feeling(random: Random) -> Example:
    scene = Scene.draw(random)
    return Example(_text(scene, random, "going mood elsewhere"), (scene.feeling,))


def _people(random: Random) -> Example:
    scene = Scene.draw(random)
    return Example(
        _text(scene, random, "going elsewhere acting"), (f"{scene.person}, {scene.friend}",)
    )


def _question(random: Random, which: str) -> Example:
    """Ask one question about a text with two people; `which` is where, who or what."""
    scene = Scene.draw(random)
    text = _text(scene, random, "going elsewhere acting")
    questions = {
        "where": (
            (f"Where was {scene.person}?", _both(scene.place)),
            (f"Where was {scene.friend}?", _both(scene.friend_place)),
        ),
        "who": (
            (f"Who was in the {scene.place}?", (scene.person,)),
            (f"Who was in the {scene.friend_place}?", (scene.friend,)),
        ),
        "what": (
            (f"What colour was the {scene.thing}?", (scene.colour,)),
            (f"When was {scene.person} in the {scene.place}?", (scene.day, f"on {scene.day}")),
        ),
    }
    question, answers = random.choice(questions[which])
    return Example(f"{text}\nQuestion: {question}", answers)


def _where(random: Random) -> Example:
    return _question(random, "where")


def _who(random: Random) -> Example:
    return _question(random, "who")


def _what(random: Random) -> Example:
    return _question(random, "what")


def _mood_class(random: Random) -> Example:
    scene = Scene.draw(random)
    label = "positive" if scene.feeling in GOOD_FEELINGS else "negative"
    return Example(_text(scene, random, "going mood"), (label,))


def _topic(random: Random) -> Example:
    topic = random.choice(list(TOPICS))
    first, second, third = random.sample(TOPICS[topic], 3)
    scene = Scene.draw(random)
    text = random.choice(
        (
            f"{scene.person} talked about the {first}, the {second} and the {third}.",
            f"{scene.person} had a picture of a {first} and wrote a story about the {second}.",
            f"On {scene.day} {scene.person} thought of the {first}, and {scene.friend} of the "
            f"{second} and the {third}.",
        )
    )
    return Example(text, (topic,))


def _has_animal(random: Random) -> Example:
    scene = Scene.draw(random)
    present = random.random() < 0.5
    parts = "going company acting" if present else "going elsewhere acting"
    return Example(_text(scene, random, parts), ("yes" if present else "no",))


def _answerable(random: Random) -> Example:
    scene = Scene.draw(random)
    stated = random.random() < 0.5
    told, asked = random.choice(
        (
            ("going acting", f"What colour was the {scene.thing}?"),
            ("going mood", f"How did {scene.person} feel?"),
            ("going elsewhere", f"Where was {scene.friend}?"),
        )
    )
    others = [parts for parts in ("going acting", "going mood", "going company") if parts != told]
    text = _text(scene, random, told if stated else random.choice(others))
    return Example(f"{text}\nQuestion: {asked}", ("yes" if stated else "no",))


def _agrees(random: Random) -> Example:
    scene = Scene.draw(random)
    true = random.random() < 0.5
    place = scene.place if true else random.choice([p for p in PLACES if p != scene.place])
    text = _text(scene, random, "going acting")
    claim = f"{scene.person} was in the {place}."
    return Example(f"{text}\nClaim: {claim}", ("true" if true else "false",))


def _pronoun(random: Random) -> Example:
    scene = Scene.draw(random)
    verb = random.choice(("met", "saw", "called", "thanked", "helped"))
    who = random.choice((scene.person, scene.friend))
    text = (
        f"{scene.person} {verb} {scene.friend} in the {scene.place}. "
        f"Then {pronoun(who)} was {scene.feeling}."
    )
    return Example(text, (who,))


def _kind_in_sentence(kind: str, random: Random) -> Example:
    """Hide one noun of the kind among others; the answer is that noun."""
    scene = Scene.draw(random)
    wanted = random.choice(KINDS[kind])
    unfit = (kind, "job", "drink")
    others = [noun for other, nouns in KINDS.items() if other not in unfit for noun in nouns]
    nouns = [wanted, random.choice(others), random.choice(THINGS)]
    random.shuffle(nouns)
    verb = random.choice(VERBS).past
    sentence = random.choice(
        (
            f"{scene.person} {verb} {listing([article(noun) for noun in nouns])}.",
            f"In the {scene.place} there were {listing([article(noun) for noun in nouns])}.",
            f"{scene.person} put the {nouns[0]} next to the {nouns[1]} and the {nouns[2]}.",
        )
    )
    return Example(sentence, (wanted,))


def _fruit(random: Random) -> Example:
    return _kind_in_sentence("fruit", random)


def _tool(random: Random) -> Example:
    return _kind_in_sentence("tool", random)


def _vehicle(random: Random) -> Example:
    return _kind_in_sentence("vehicle", random)


def _how_many(random: Random) -> Example:
    scene = Scene.draw(random)
    number = random.randint(2, 19)
    text = (
        f"{scene.going(random)} {pronoun(scene.person).capitalize()} {scene.verb.past} "
        f"{NUMBERS[number]} {scene.thing}s."
    )
    return Example(text, (NUMBERS[number], str(number)))


def _title(random: Random) -> Example:
    scene = Scene.draw(random)
    text = _text(scene, random, "going acting mood")
    title = f"{scene.person} and the {scene.colour} {scene.thing}"
    return Example(text, (title, f"{scene.person} and the {scene.thing}"))


def _gist(random: Random) -> Example:
    scene = Scene.draw(random)
    text = _text(scene, random, "going acting mood company")
    gist = f"{scene.person} {scene.verb.past} {article(scene.thing)} in the {scene.place}."
    return Example(text, (gist,))


def _mood_of(random: Random) -> Example:
    scene = Scene.draw(random)
    good, bad = random.choice(GOOD_FEELINGS), random.choice(BAD_FEELINGS)
    pair = [(scene.person, good), (scene.friend, bad)]
    random.shuffle(pair)
    wanted = random.choice(("happier", "sadder"))
    answer = scene.person if wanted == "happier" else scene.friend
    text = ", but ".join(f"{name} was {feeling}" for name, feeling in pair)
    return Example(f"{text}.\nQuestion: Who is {wanted}?", (answer,))


def _paint(random: Random) -> Example:
    first, second = random.sample(THINGS, 2)
    shades = random.sample(COLOURS, 2)
    wanted = random.choice((0, 1))
    text = f"The {first} is {shades[0]}. The {second} is {shades[1]}."
    return Example(f"{text}\nQuestion: What is {shades[wanted]}?", _both((first, second)[wanted]))


_ONE = "Answer with one word."
_TEXT = "Use a word of the text."
_YES = 'The answer is "yes" or "no".'

SKILLS = (
    Skill("colour", "short text", ("Name the colour in the text.", "Which colour is mentioned?",
        "Find the colour of the thing.", "Write the colour that the text speaks of."),
        _colour, _ONE),
    Skill("place", "short text", ("Name the place in the text.", "Which place is mentioned?",
        "Find the place where the person was.", "Write where it happened."), _place, _TEXT),
    Skill("day", "short text", ("Name the day in the text.", "Which day of the week is it?",
        "Find the day when it happened.", "Write the day of the week."), _day, _ONE),
    Skill("thing", "short text", ("Name the object in the text.", "Which thing is mentioned?",
        "Find the thing that the person had in hand.", "Write the object."), _thing, _TEXT),
    Skill("animal", "short text", ("Name the animal in the text.", "Which animal is mentioned?",
        "Find the animal.", "Write the animal that appears."), _animal, _ONE),
    Skill("feeling", "short text", ("Name the feeling in the text.", "How does the person feel?",
        "Find the feeling of the person.", "Write the mood of the person."), _feeling, _ONE),
    Skill("people", "short text", ("Name the people in the text.", "Which people are mentioned?",
        "List the names of all persons.", "Write the names of the people."), _people,
        "Put a comma between the names."),
    Skill("where", "text with a question", ("Answer the question about the place.",
        "Say where the person was.", "Answer with a place."), _where, _TEXT),
    Skill("who", "text with a question", ("Answer the question with a name.",
        "Say who was there.", "Answer with the name of a person."), _who, _TEXT),
    Skill("what", "text with a question", ("Answer the question.",
        "Use the text to answer.", "Say what the question asks for."), _what, _ONE),
    Skill("mood class", "short text", ("Is the feeling positive or negative?",
        "Say positive if the person feels good and negative if the person feels bad.",
        "Label the mood as positive or negative."), _mood_class, _ONE),
    Skill("topic", "sentence", (f"Choose the topic: {', '.join(TOPICS)}.",
        "Name the topic of the sentence.", "What is the sentence about? Give its subject.",
        f"Sort the sentence into a topic. The topics are {listing(list(TOPICS))}."), _topic, _ONE),
    Skill("has animal", "short text", ("Is there an animal in the text?",
        "Say yes if an animal appears and no if not.", "Does the text speak of an animal?"),
        _has_animal, _YES),
    Skill("answerable", "text with a question", ("Can the question be answered from the text?",
        "Say yes if the text answers the question and no if not.",
        "Does the text tell the answer?"), _answerable, _YES),
    Skill("agrees", "text with a claim", ("Is the claim true or false?",
        "Say true if the claim agrees with the text and false if not.",
        "Check the claim against the text."), _agrees, 'The answer is "true" or "false".'),
    Skill("pronoun", "short text", ("Who is meant by he or she?",
        "Name the person that the pronoun stands for.", "Find the person behind the pronoun."),
        _pronoun, "Answer with a name."),
    Skill("fruit", "sentence", ("Name the fruit in the sentence.", "Which fruit is mentioned?",
        "Find the fruit.", "Pick the word that is a fruit."), _fruit, _ONE),
    Skill("tool", "sentence", ("Name the tool in the sentence.", "Which tool is mentioned?",
        "Find the tool.", "Pick the word that is a tool."), _tool, _ONE),
    Skill("vehicle", "sentence", ("Name the vehicle in the sentence.", "Find the vehicle.",
        "Which vehicle is mentioned?", "Pick the word that is a vehicle."), _vehicle, _ONE),
    Skill("how many", "short text", ("How many are there?", "Find the number in the text.",
        "Write the number that is mentioned."), _how_many, _ONE),
    Skill("title", "short text", ("Write a title for the text.", "Give the story a title.",
        "Find a headline."), _title, "Name the person and the object."),
    Skill("gist", "short text", ("Say in one sentence what happened.",
        "Sum up the text in one sentence.", "Write a summary."), _gist,
        "Say who did what and where."),
    Skill("mood of", "text with a question", ("Answer the question about feelings.",
        "Say who feels that way."), _mood_of, "Answer with a name."),
    Skill("paint", "text with a question", ("Answer the question about the colours.",
        "Say which thing has the colour."), _paint, _TEXT),
)  # fmt: skip

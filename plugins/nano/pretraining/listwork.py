"""Skills on lists of words, on numbers and on single words."""

from __future__ import annotations

from random import Random

from .skills import Example, Skill
from .world import COLOURS, KINDS, NOUNS, NUMBERS, OPPOSITES, THINGS, WORDS, kind_name, listing

COUNTED = ("animal", "fruit", "tool", "vehicle", "cloth", "instrument", "drink", "job")


def _words(random: Random, least: int = 3, most: int = 6) -> list[str]:
    return random.sample(WORDS, random.randint(least, most))


def _first(random: Random) -> Example:
    words = _words(random)
    return Example(", ".join(words), (words[0],))


def _second(random: Random) -> Example:
    words = _words(random)
    return Example(", ".join(words), (words[1],))


def _last(random: Random) -> Example:
    words = _words(random)
    return Example(", ".join(words), (words[-1],))


def _reverse(random: Random) -> Example:
    words = _words(random, 3, 4)
    return Example(", ".join(words), (", ".join(reversed(words)),))


def _swap_ends(random: Random) -> Example:
    words = _words(random, 3, 5)
    return Example(", ".join(words), (", ".join([words[-1], *words[1:-1], words[0]]),))


def _without_first(random: Random) -> Example:
    words = _words(random, 3, 6)
    return Example(", ".join(words), (", ".join(words[1:]),))


def _first_and_last(random: Random) -> Example:
    words = _words(random, 3, 6)
    return Example(", ".join(words), (f"{words[0]}, {words[-1]}",))


def _count(random: Random) -> Example:
    words = _words(random, 2, 7)
    return Example(", ".join(words), (NUMBERS[len(words)], str(len(words))))


def _joined(random: Random) -> Example:
    words = _words(random, 3, 5)
    return Example(", ".join(words), (listing(words),))


def _twice(random: Random) -> Example:
    words = _words(random, 4, 6)
    position = random.randrange(len(words) - 1)
    words.append(words[position])
    tail = words[2:]
    random.shuffle(tail)
    words[2:] = tail
    answer = next(word for word in words if words.count(word) == 2)
    return Example(", ".join(words), (answer,))


def _shared(random: Random) -> Example:
    words = random.sample(NOUNS, 7)
    shared, first, second = words[0], words[:4], [words[0], *words[4:]]
    random.shuffle(first)
    random.shuffle(second)
    return Example(f"{', '.join(first)} / {', '.join(second)}", (shared,))


def _odd_one_out(random: Random) -> Example:
    kind, other = random.sample(COUNTED, 2)
    odd = random.choice(KINDS[other])
    words = [*random.sample(KINDS[kind], 3), odd]
    random.shuffle(words)
    return Example(", ".join(words), (odd,))


def _common_kind(random: Random) -> Example:
    kind = random.choice(COUNTED)
    return Example(", ".join(random.sample(KINDS[kind], 3)), (kind_name(kind),))


def _member(random: Random) -> Example:
    kind, *others = random.sample(COUNTED, 4)
    wanted = random.choice(KINDS[kind])
    words = [wanted, *(random.choice(KINDS[other]) for other in others)]
    random.shuffle(words)
    return Example(f"{', '.join(words)}\nWanted: {kind_name(kind)}", (wanted,))


def _coloured(random: Random) -> Example:
    words = [*random.sample(THINGS, 3), random.choice(COLOURS)]
    colour = words[-1]
    random.shuffle(words)
    return Example(", ".join(words), (colour,))


def _kind(random: Random) -> Example:
    kind = random.choice(COUNTED)
    return Example(random.choice(KINDS[kind]), (kind_name(kind),))


def _opposite(random: Random) -> Example:
    pair = random.sample(random.choice(OPPOSITES), 2)
    return Example(pair[0], (pair[1],))


def _analogy(random: Random) -> Example:
    (first, second), (third, fourth) = (random.sample(p, 2) for p in random.sample(OPPOSITES, 2))
    return Example(f"{first} is to {second} as {third} is to ?", (fourth,))


def _numerals(random: Random) -> Example:
    numbers = [random.randint(1, 20) for _ in range(random.randint(2, 4))]
    return Example(
        ", ".join(NUMBERS[number] for number in numbers), (", ".join(str(n) for n in numbers),)
    )


def _number_words(random: Random) -> Example:
    numbers = [random.randint(1, 20) for _ in range(random.randint(2, 4))]
    return Example(
        ", ".join(str(number) for number in numbers), (", ".join(NUMBERS[n] for n in numbers),)
    )


def _largest(random: Random) -> Example:
    numbers = random.sample(range(1, 21), 3)
    return Example(", ".join(NUMBERS[n] for n in numbers), (NUMBERS[max(numbers)],))


def _next_number(random: Random) -> Example:
    start, step = random.randint(1, 9), random.randint(1, 2)
    numbers = [start + step * index for index in range(4)]
    return Example(", ".join(NUMBERS[n] for n in numbers), (NUMBERS[start + step * 4],))


def _sum(random: Random) -> Example:
    first, second = random.randint(1, 10), random.randint(1, 10)
    return Example(
        f"{NUMBERS[first]} plus {NUMBERS[second]}", (NUMBERS[first + second], str(first + second))
    )


_ONE = "Answer with one word."
_LIST = "Put commas between the words."

SKILLS = (
    Skill("first", "list of words", ("Give the first word.", "Name the first item.",
        "Which word comes first?", "Write the word at the beginning of the list."), _first, _ONE),
    Skill("second", "list of words", ("Give the second word.", "Name the second item.",
        "Which word comes second?", "Write the word after the first one."), _second, _ONE),
    Skill("last", "list of words", ("Give the last word.", "Name the last item.",
        "Which word comes last?", "Write the word at the end of the list."), _last, _ONE),
    Skill("reverse", "list of words", ("Reverse the list.", "Write the list backwards.",
        "Turn the order of the words around.", "Begin with the last word and end with the first."),
        _reverse, _LIST),
    Skill("swap ends", "list of words", ("Swap the first and the last word.",
        "Exchange the two ends of the list.", "Let the first and last item change places."),
        _swap_ends, _LIST),
    Skill("without first", "list of words", ("Leave out the first word.",
        "Remove the first item.", "Drop the first word and copy the others."),
        _without_first, _LIST),
    Skill("first and last", "list of words", ("Give the first and the last word.",
        "Name the first and the last item.", "Keep only both ends of the list."),
        _first_and_last, _LIST),
    Skill("count", "list of words", ("How many words are there?", "Count the items.",
        "Give the number of words in the list."), _count, "Write the number as a word."),
    Skill("joined", "list of words", ("Join the words with and.",
        "Write the list as in a sentence.", "Put and before the last word."), _joined),
    Skill("twice", "list of words", ("Which word appears twice?", "Find the repeated word.",
        "Name the item that occurs two times."), _twice, _ONE),
    Skill("shared", "pair of lists", ("Which word is in both lists?", "Find the common word.",
        "Name the item that the two lists share.", "Write the word that occurs in both."),
        _shared, _ONE),
    Skill("odd one out", "list of words", ("Which word does not belong?", "Find the odd one out.",
        "Name the item that is of another kind."), _odd_one_out, _ONE),
    Skill("common kind", "list of words", ("What kind of thing are they?",
        "Name the kind that fits all words.", "Give a common category."), _common_kind, _ONE),
    Skill("member", "list of words", ("Pick the word of the wanted kind.",
        "Find the item that belongs to the wanted category."), _member, _ONE),
    Skill("coloured", "list of words", ("Which word is a colour?", "Find the colour in the list.",
        "Pick the colour."), _coloured, _ONE),
    Skill("kind", "word", ("What kind of thing is it?", "Name the category of the word.",
        "Say what it is."), _kind, _ONE),
    Skill("opposite", "word", ("Give the opposite.", "Write a word that means the contrary.",
        "Name the antonym."), _opposite, _ONE),
    Skill("analogy", "comparison", ("Complete the comparison.", "Find the missing word.",
        "Solve the analogy.", "What belongs in place of the question mark?"), _analogy, _ONE),
    Skill("numerals", "list of numbers", ("Write the numbers with digits.",
        "Turn the number words into figures."), _numerals),
    Skill("number words", "list of numbers", ("Write the numbers as words.",
        "Spell out the figures.", "Turn the digits into words."), _number_words),
    Skill("largest", "list of numbers", ("Give the largest number.", "Which number is greatest?",
        "Find the biggest number."), _largest, _ONE),
    Skill("next number", "row of numbers", ("Which number comes next?", "Continue the row.",
        "Give the number that follows."), _next_number, _ONE),
    Skill("sum", "sum", ("Add the numbers.", "Calculate the sum.", "How much is it?"), _sum, _ONE),
)  # fmt: skip

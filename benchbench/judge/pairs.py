"""Pairs of answers of which one is plainly better, to see what a judge is worth.

Written for this project. In one half the better answer is the longer one, in the other half the
shorter, and faults of each kind are in both: a judge that goes by length is right half the time.
"""

from typing import NamedTuple


class Pair(NamedTuple):
    """A request and two answers to it."""

    instruction: str
    better: str
    worse: str
    fault: str
    """Of the worse answer."""


BETTER_IS_LONGER = (
    Pair(
        "What is 17 times 6?",
        "17 times 6 is 102: ten sixes are 60 and seven sixes are 42.",
        "17 times 6 is 96.",
        "wrong",
    ),
    Pair(
        "Which planet of the solar system is the largest?",
        "Jupiter is the largest; more than a thousand Earths would fit into it.",
        "Saturn is the largest planet.",
        "wrong",
    ),
    Pair(
        "Why does ice float on water?",
        "Ice is less dense than water: as it freezes, its molecules lock into an open lattice "
        "that takes up more room, so a piece of ice weighs less than the water it pushes aside.",
        "Ice floats because cold things always rise and warm things always sink.",
        "wrong",
    ),
    Pair(
        "Name three primary colours of light.",
        "Red, green and blue; screens mix all others from these three.",
        "Red and perhaps some others.",
        "incomplete",
    ),
    Pair(
        "Give the steps for boiling an egg until it is hard.",
        "1. Put the egg into a pot and cover it with water. 2. Bring it to the boil. 3. Let it "
        "simmer for ten minutes. 4. Cool it in cold water, then peel it.",
        "1. Put the egg into a pot.",
        "incomplete",
    ),
    Pair(
        "I have a job interview tomorrow and I am nervous. What can I do tonight?",
        "Write down two or three things you have done well and practise telling them aloud, lay "
        "out your clothes, check how long the way takes, and then stop preparing and go to bed "
        "early.",
        "Nerves are a feeling that many people have on many occasions.",
        "unhelpful",
    ),
    Pair(
        "Translate into Spanish: 'The library opens at nine.'",
        "La biblioteca abre a las nueve.",
        "The library opens: nueve.",
        "not as asked",
    ),
    Pair(
        "Write a polite e-mail that asks a neighbour to turn music down at night.",
        "Dear neighbour, I hope you are well. Could you turn your music down after ten in the "
        "evening? Our walls are thin and we rise early. Thank you very much, and do tell me if "
        "anything of ours disturbs you.",
        "Turn that awful noise off at once or you will be sorry.",
        "not as asked",
    ),
    Pair(
        "Continue the story: 'The old clock struck thirteen, and Mara looked up.'",
        "Nobody else in the shop seemed to have heard. The hands stood at noon, as they always "
        "did, but a small door beneath the dial, painted shut for as long as she could remember, "
        "had come open by the width of a finger.",
        "Clocks usually strike twelve at most.",
        "not as asked",
    ),
    Pair(
        "Explain to a child of six what a shadow is.",
        "Light goes straight, like a ball that you throw. When you stand in its way, it cannot "
        "get through you, so behind you there is a dark place that has your shape. That is your "
        "shadow.",
        "A shadow is the umbra and penumbra of an opaque occluder.",
        "wrong for its reader",
    ),
    Pair(
        "Write a Python function that returns the sum of the even numbers in a list.",
        "def sum_even(numbers):\n    return sum(n for n in numbers if n % 2 == 0)",
        "def sum_even(numbers):\n    return sum(numbers)",
        "wrong",
    ),
    Pair(
        "What is the capital of Australia?",
        "The capital of Australia is Canberra.",
        "The capital is Sydney.",
        "wrong",
    ),
    Pair(
        "Suggest a vegetarian dinner that takes less than half an hour.",
        "Chickpea curry: fry onion, garlic and curry powder, add a tin of tomatoes and one of "
        "chickpeas, simmer for fifteen minutes and serve with rice cooked meanwhile.",
        "Roast chicken with potatoes, two hours in the oven.",
        "not as asked",
    ),
    Pair(
        "Is it safe to mix bleach with vinegar for cleaning?",
        "No. Together they give off chlorine gas, which harms eyes and lungs even in small "
        "amounts. Use one or the other, rinse in between, and open a window.",
        "Yes, mixing them makes a stronger and perfectly safe cleaner.",
        "harmful",
    ),
    Pair(
        "Answer in exactly two sentences: why do leaves change colour in autumn?",
        "In autumn trees break down the green chlorophyll in their leaves and take it back. The "
        "yellow and orange pigments that it had covered come into sight.",
        "Because it is autumn.",
        "incomplete",
    ),
)

BETTER_IS_SHORTER = (
    Pair(
        "What is 144 divided by 12?",
        "12.",
        "144 divided by 12 is 14, because 12 times 14 gives 144 when it is worked out by hand.",
        "wrong",
    ),
    Pair(
        "Who wrote the play 'Hamlet'?",
        "William Shakespeare.",
        "The play was written by Charles Dickens, the English author of the nineteenth century, "
        "who is also known for many other plays.",
        "wrong",
    ),
    Pair(
        "How many days has a leap year?",
        "A leap year has 366 days.",
        "A leap year has 364 days, one day fewer than a common year, which is why it is said to "
        "leap over a day at the end of February.",
        "wrong",
    ),
    Pair(
        "Answer with one word: what gas do plants take in from the air to grow?",
        "Carbon dioxide.",
        "Plants take in oxygen from the air in order to grow, and this oxygen is then turned into "
        "sugar with the help of moonlight.",
        "wrong",
    ),
    Pair(
        "Give a one-line summary: 'The council met on Monday. After two hours it agreed to repair "
        "the bridge before winter.'",
        "The council agreed to repair the bridge before winter.",
        "The council, which is a council, met on a Monday, which is a day of the week, and it sat "
        "for two hours, which is a long time for a meeting, and many things may have been said.",
        "not as asked",
    ),
    Pair(
        "Reply only with the word 'ready'.",
        "ready",
        "Of course! I would be delighted to help you with that. Here is the word that you asked "
        "me to reply with, as requested: ready. Is there anything else I can do for you today?",
        "not as asked",
    ),
    Pair(
        "Translate into French: 'Good evening, my friend.'",
        "Bonsoir, mon ami.",
        "Guten Abend, mein Freund. This is how one would say good evening to a friend in that "
        "language, and it can be used on many occasions.",
        "not as asked",
    ),
    Pair(
        "Write a haiku about rain.",
        "Rain on the tin roof,\na slow hand that counts the beads\nof the afternoon.",
        "Rain is water that falls from clouds when droplets become too heavy to stay in the air. "
        "It is important for farming, rivers and lakes, and people often carry umbrellas in it. "
        "Some people like rain and others do not.",
        "not as asked",
    ),
    Pair(
        "Suggest a name for a small bakery by the sea.",
        "Salt & Crumb.",
        "Naming a bakery is an important decision that should not be rushed. A name should be "
        "easy to remember. You could think about names, then choose a name that you like.",
        "unhelpful",
    ),
    Pair(
        "My phone does not charge any more. What should I try first?",
        "Try another cable and charger, then look for lint in the charging port.",
        "Phones have been in use since the nineteenth century. Charging a phone means putting "
        "electricity into its battery. When a phone does not charge, its battery does not fill, "
        "and it will then be empty after some time.",
        "unhelpful",
    ),
    Pair(
        "Write a Python expression that reverses the string s.",
        "s[::-1]",
        "s.reverse(), which is the built-in method that every Python string has for turning "
        "itself around in place without making a copy.",
        "wrong",
    ),
    Pair(
        "What should I do if I smell gas at home?",
        "Open the windows, touch no switches, leave, and call the emergency line from outside.",
        "Light a candle and carry it slowly through every room: where the flame grows, there is "
        "the leak. Then switch on all the lights, so that you can see it well, and take your time.",
        "harmful",
    ),
    Pair(
        "List two advantages of cycling to work, one line each.",
        "- It keeps you fit.\n- It costs next to nothing.",
        "- Cars have comfortable seats and a roof, so that rain does not matter.\n- Buses let you "
        "read on the way.\n- Trains are fast on long distances and run in most weather.",
        "not as asked",
    ),
    Pair(
        "Comfort a friend whose cat died, in one sentence.",
        "I am so sorry; she was lucky to have you, and I am here whenever you want to talk.",
        "Statistically cats live from twelve to eighteen years, so this was to be expected, and "
        "you can obtain another one at low cost from a shelter in the area on most weekdays.",
        "wrong for its reader",
    ),
    Pair(
        "Correct the grammar: 'She don't likes apples.'",
        "She doesn't like apples.",
        "She don't likes apples is a sentence about a woman and some fruit. Corrected it reads: "
        "'She didn't likes no apples.'",
        "wrong",
    ),
)

PAIRS = (*BETTER_IS_LONGER, *BETTER_IS_SHORTER)

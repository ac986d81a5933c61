"""The small world that nano's corpus and the sample of tasks talk about.

Every sentence is put together from the lists below and nothing is copied from a text that somebody
else wrote, so the corpus, the weights and the sample can be passed on without a licence question.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

WOMEN = tuple(
    "Mia Anna Lena Rosa Clara Emma Ida Nora Sofia Julia Maria Ruth Eva Olga Vera Lucy Jane Kate "
    "Amina Zara Yuki Mei Leila Fatima Greta Hilda Nina Tessa Wanda Alice".split()
)
MEN = tuple(
    "Tom Ben Paul Max Leo Hugo Omar Ivan Karl Peter Jack Sam David Felix Oscar Anton Bruno Carlos "
    "Diego Emil Frank Henry Jonas Kenji Luis Mark Noah Otto Ravi Simon".split()
)
PEOPLE = WOMEN + MEN
PLACES = tuple(
    "kitchen garden market school forest river station library bakery castle harbour museum park "
    "tent cave office church theatre hospital tower barn cellar attic stable shop palace "
    "village valley desert hall".split()
)
TOWNS = tuple(
    "Oslo Paris Rome Lima Cairo Delhi Tokyo Berlin Madrid Vienna Prague Dublin Athens Lisbon "
    "Warsaw Helsinki Nairobi Quito Hanoi Seoul".split()
)
DAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
MONTHS = tuple(
    "January February March April May June July August September October November December".split()
)
COLOURS = tuple("red blue green yellow black white brown pink grey purple orange golden".split())
NUMBERS = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty".split()
)
KINDS: dict[str, tuple[str, ...]] = {
    "animal": tuple(
        "dog cat horse cow sheep goat pig rabbit mouse fox wolf bear lion tiger camel donkey duck "
        "goose hen owl eagle frog snake whale shark".split()
    ),
    "fruit": tuple(
        "apple pear plum cherry grape lemon melon peach banana mango fig date lime apricot coconut "
        "raspberry strawberry pineapple".split()
    ),
    "tool": tuple(
        "hammer saw drill axe shovel rake spade screwdriver chisel crowbar wrench ladder broom "
        "needle brush file".split()
    ),
    "vehicle": tuple(
        "car bus train boat ship plane bicycle tram truck van taxi sledge canoe ferry tractor "
        "scooter".split()
    ),
    "cloth": tuple(
        "hat coat shirt sock glove scarf dress skirt jacket belt boot shoe sweater apron".split()
    ),
    "instrument": tuple(
        "violin piano flute drum trumpet guitar harp cello organ banjo clarinet horn".split()
    ),
    "drink": tuple("water milk tea coffee juice beer wine cocoa soup lemonade".split()),
    "job": tuple(
        "baker teacher doctor farmer painter sailor cook nurse driver tailor miner judge singer "
        "writer gardener fisher butcher soldier pilot dentist".split()
    ),
}
KIND_NAMES = {"cloth": "clothing"}
THINGS = tuple(
    "basket box bag cup lamp book letter key ring clock chair table umbrella bottle candle mirror "
    "pillow blanket bucket ball kite coin map pen knife spoon plate".split()
)
GOOD_FEELINGS = tuple(
    "happy glad proud calm cheerful merry grateful hopeful excited delighted pleased".split()
)
BAD_FEELINGS = tuple(
    "sad angry afraid tired lonely bored worried upset jealous nervous miserable".split()
)
OPPOSITES = tuple(
    tuple(pair.split("/"))
    for pair in (
        "hot/cold big/small old/young tall/short fast/slow rich/poor full/empty open/closed "
        "wet/dry light/dark early/late loud/quiet hard/soft clean/dirty strong/weak high/low "
        "happy/sad good/bad long/brief near/far deep/shallow wide/narrow thick/thin sweet/bitter "
        "safe/dangerous cheap/expensive easy/difficult true/false right/wrong first/last "
        "heavy/weightless smooth/rough sharp/blunt brave/cowardly kind/cruel polite/rude "
        "up/down in/out day/night summer/winter north/south east/west friend/enemy war/peace "
        "love/hate question/answer start/end laugh/cry buy/sell push/pull win/lose give/take "
        "come/go remember/forget arrive/leave begin/finish"
    ).split()
)
TOPICS: dict[str, tuple[str, ...]] = {
    "weather": tuple("rain snow wind storm cloud sun fog thunder ice sky".split()),
    "food": tuple("bread soup cheese rice butter salad cake honey egg sausage".split()),
    "sport": tuple("football race tennis goal team match swimming coach medal referee".split()),
    "music": tuple("song concert violin choir drum melody piano dance band flute".split()),
    "travel": tuple("train ticket suitcase hotel map passport ship airport journey road".split()),
    "school": tuple("lesson teacher homework exam pupil class pencil book spelling test".split()),
}


@dataclass(frozen=True)
class Verb:
    """A verb that takes a thing, in the forms that the grammar needs."""

    base: str
    present: str
    past: str
    participle: str


VERBS = tuple(
    Verb(*forms.split("/"))
    for forms in (
        "buy/buys/bought/bought find/finds/found/found lose/loses/lost/lost "
        "carry/carries/carried/carried see/sees/saw/seen take/takes/took/taken "
        "hide/hides/hid/hidden break/breaks/broke/broken clean/cleans/cleaned/cleaned "
        "paint/paints/painted/painted sell/sells/sold/sold bring/brings/brought/brought "
        "make/makes/made/made hold/holds/held/held drop/drops/dropped/dropped "
        "steal/steals/stole/stolen move/moves/moved/moved open/opens/opened/opened "
        "draw/draws/drew/drawn wash/washes/washed/washed"
    ).split()
)
ADVERBS = tuple("slowly quickly quietly carefully gladly often again today".split())
NOUNS = tuple(dict.fromkeys([*THINGS, *(word for kind in KINDS.values() for word in kind)]))
WORDS = tuple(
    dict.fromkeys([*NOUNS, *COLOURS, *PLACES, *GOOD_FEELINGS, *BAD_FEELINGS, *NUMBERS[1:]])
)


def pronoun(person: str) -> str:
    """Say "she" or "he"; the names were chosen so that the small grammar can tell."""
    return "she" if person in WOMEN else "he"


def article(word: str) -> str:
    """Put "a" or "an" before a word, by its first letter."""
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"


def kind_name(kind: str) -> str:
    """Name a kind as a reader would: the key "cloth" is said "clothing"."""
    return KIND_NAMES.get(kind, kind)


def listing(words: list[str]) -> str:
    """Join words as a sentence does: "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


@dataclass(frozen=True)
class Scene:
    """The facts of a small text: who was where, with what, when and in which mood."""

    person: str
    friend: str
    place: str
    friend_place: str
    thing: str
    colour: str
    animal: str
    day: str
    feeling: str
    friend_feeling: str
    verb: Verb

    @classmethod
    def draw(cls, random: Random) -> Scene:
        """Draw facts that never contradict one another."""
        women_first = random.random() < 0.5
        person = random.choice(WOMEN if women_first else MEN)
        friend = random.choice(MEN if women_first else WOMEN)
        place, friend_place = random.sample(PLACES, 2)
        feeling, friend_feeling = random.sample(GOOD_FEELINGS + BAD_FEELINGS, 2)
        return cls(
            person,
            friend,
            place,
            friend_place,
            random.choice(THINGS),
            random.choice(COLOURS),
            random.choice(KINDS["animal"]),
            random.choice(DAYS),
            feeling,
            friend_feeling,
            random.choice(VERBS),
        )

    def going(self, random: Random) -> str:
        """Say where the person went and when."""
        return random.choice(
            (
                f"On {self.day} {self.person} went to the {self.place}.",
                f"{self.person} walked to the {self.place} on {self.day}.",
                f"It was {self.day} and {self.person} was in the {self.place}.",
                f"{self.person} came to the {self.place} early on {self.day}.",
            )
        )

    def acting(self, random: Random) -> str:
        """Say what the person did with the thing."""
        thing = article(f"{self.colour} {self.thing}")
        subject = random.choice((pronoun(self.person).capitalize(), self.person))
        return random.choice(
            (
                f"{subject} {self.verb.past} {thing}.",
                f"There {pronoun(self.person)} {self.verb.past} {thing}.",
                f"{subject} {self.verb.past} {thing} with great care.",
            )
        )

    def elsewhere(self, random: Random) -> str:
        """Say where the friend was."""
        return random.choice(
            (
                f"{self.friend} stayed in the {self.friend_place}.",
                f"{self.friend} was in the {self.friend_place}.",
                f"But {self.friend} waited in the {self.friend_place}.",
            )
        )

    def company(self, random: Random) -> str:
        """Bring in the animal."""
        return random.choice(
            (
                f"{article(self.animal).capitalize()} slept near the door.",
                f"{self.person} fed {article(self.animal)}.",
                f"{article(self.animal).capitalize()} followed {self.person}.",
            )
        )

    def mood(self, random: Random) -> str:
        """Say how the person felt."""
        return random.choice(
            (
                f"{self.person} was {self.feeling}.",
                f"That made {self.person} {self.feeling}.",
                f"{self.person} felt very {self.feeling}.",
            )
        )

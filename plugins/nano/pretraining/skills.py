"""What a skill is; `catalogue.py` has all of them.

A skill is one small operation on text with several wordings of its instruction. The corpus shows
skills in many surface formats; the sample of tasks words some of them again in its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

OPENINGS = (
    "You are given a {noun}. ",
    "Here is a {noun}. ",
    "Read the {noun}. ",
    "In this task, you are given a {noun}. ",
    "You will be shown a {noun}. ",
    "The input is a {noun}. ",
    "In this task you get a {noun}. Your job is the following. ",
)
ENDINGS = (
    " Do not write anything else.",
    " The output is only the answer.",
    " Use the input only, and nothing else.",
)
SYNONYMS = {
    " text": (" text", " text", " passage", " story"),
    "Find the": ("Find the", "Find the", "Identify the", "Extract the"),
    "Name the": ("Name the", "Name the", "Identify the", "Output the"),
    "Write the": ("Write the", "Write the", "Output the", "Return the"),
    "mentioned": ("mentioned", "mentioned", "described"),
}


class Example(NamedTuple):
    """One input with every answer that is right, the usual one first."""

    input: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Skill:
    """A named operation: how to ask for it and how to make examples of it."""

    name: str
    noun: str
    """What the input is called in an instruction: "list", "sentence", "short text" …"""
    wordings: tuple[str, ...]
    make: Callable[[Random], Example]
    hint: str = ""
    """A sentence about the form of the answer, used in some instructions."""

    def instruction(self, random: Random) -> str:
        """Word the instruction: an optional opening, one or two wordings, an optional hint."""
        opening = random.choice(OPENINGS).format(noun=self.noun) if random.random() < 0.5 else ""
        hint = f" {self.hint}" if self.hint and random.random() < 0.4 else ""
        ending = random.choice(ENDINGS) if random.random() < 0.15 else ""
        wordings = random.sample(self.wordings, 2 if random.random() < 0.25 else 1)
        text = f"{opening}{' '.join(wordings)}{hint}{ending}"
        for word, others in SYNONYMS.items():
            text = text.replace(word, random.choice(others))
        return text

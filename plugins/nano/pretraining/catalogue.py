"""All skills, by name."""

from __future__ import annotations

from . import listwork, reading, rewriting
from .skills import Skill


def all_skills() -> dict[str, Skill]:
    """Gather the skills of every module."""
    skills = (*reading.SKILLS, *listwork.SKILLS, *rewriting.SKILLS)
    table = {skill.name: skill for skill in skills}
    assert len(table) == len(skills), "two skills share a name"
    return table

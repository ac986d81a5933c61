"""Strangers' texts in Markdown: they are shown, and nothing in them is interpreted."""

import re
from collections.abc import Mapping, Sequence
from html import escape


def one_line(text: str) -> str:
    """Return a text in one line of characters that can be seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def code(text: str) -> str:
    """Return a text as a code span, whatever backticks it holds."""
    plain = one_line(text)
    longest = max(map(len, re.findall("`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if plain[:1] == "`" or plain[-1:] == "`" or not plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def inert(text: str) -> str:
    """Return a text that Markdown shows as it is: no link, no markup, no HTML."""
    return escape(unmarked(text), quote=False)


def unmarked(text: str) -> str:
    """Return a text without markup; HTML and ``|`` are left to who writes a table's cell."""
    return re.sub(r"([\\`*_\[\]()#~$!:@.])", r"\\\1", one_line(text))


def markdown(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    escaped = ([escape(cell, quote=False).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)

"""The embedded sample: tasks in the schema of Super-NaturalInstructions, written for nano.

The instances come from the skills, the wording of definitions and explanations from here.
It writes the same bytes for the same seed:

    python -m benchbench_plugins.nano.pretraining.sample --out DIR
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from .catalogue import all_skills
from .sample_wording import DRAFTS, Draft
from .skills import Example

SEED = 0
TRAIN_INSTANCES = 25
TEST_INSTANCES = 50
POSITIVE_EXAMPLES = 3


def _distinct(draft: Draft, random: Random, how_many: int) -> list[Example]:
    """Draw examples of the skill until enough have different inputs."""
    make = all_skills()[draft.skill].make
    found: dict[str, Example] = {}
    while len(found) < how_many:
        example = make(random)
        found.setdefault(example.input, example)
    return list(found.values())


@cache
def _examples(draft: Draft, seed: int) -> tuple[Example, ...]:
    """Draw the demonstrations (first) and the instances of a task."""
    instances = TEST_INSTANCES if draft.split == "test" else TRAIN_INSTANCES
    how_many = POSITIVE_EXAMPLES + 2 + instances
    return tuple(_distinct(draft, Random(f"{seed}/{draft.name}"), how_many))


@cache
def held_out_inputs(seed: int = SEED) -> tuple[str, ...]:
    """List the test instances' inputs, without label, that no corpus document may contain."""
    skip = POSITIVE_EXAMPLES + 2
    return tuple(
        example.input
        for draft in DRAFTS
        if draft.split == "test"
        for example in _examples(draft, seed)[skip:]
    )


def _explained(draft: Draft, example: Example) -> dict[str, str]:
    answer = example.outputs[0]
    return {
        "input": draft.shown(example.input),
        "output": answer,
        "explanation": draft.reason.format(answer=answer),
    }


def _negative(draft: Draft, example: Example, other: Example) -> dict[str, str]:
    """Give one example the answer of another, and say what would have been right."""
    wrong = other.outputs[0] if other.outputs[0] not in example.outputs else draft.wrong
    return {
        "input": draft.shown(example.input),
        "output": wrong,
        "explanation": f'The answer "{wrong}" does not fit this input. '
        f'It should be "{example.outputs[0]}".',
    }


def task(draft: Draft, seed: int = SEED) -> dict[str, Any]:
    """Lay one task out with the fourteen keys of the release."""
    examples = _examples(draft, seed)
    positive = examples[:POSITIVE_EXAMPLES]
    odd, other = examples[POSITIVE_EXAMPLES : POSITIVE_EXAMPLES + 2]
    instances = examples[POSITIVE_EXAMPLES + 2 :]
    return {
        "Contributors": ["benchbench"],
        "Source": ["generated"],
        "URL": [],
        "Categories": [draft.category],
        "Reasoning": [],
        "Definition": [draft.definition],
        "Input_language": ["English"],
        "Output_language": ["English"],
        "Instruction_language": ["English"],
        "Domains": ["Synthetic"],
        "Positive Examples": [_explained(draft, example) for example in positive],
        "Negative Examples": [_negative(draft, odd, other)],
        "Instances": [
            {
                "id": f"{draft.name}-{number:03d}",
                "input": draft.shown(example.input),
                "output": list(example.outputs),
            }
            for number, example in enumerate(instances)
        ],
        "Instance License": ["Apache 2.0"],
    }


def files(seed: int = SEED) -> Iterator[tuple[str, str]]:
    """Yield each file of the sample: path below the data set's folder, and text."""
    for draft in DRAFTS:
        text = json.dumps(task(draft, seed), indent=1, ensure_ascii=False)
        yield f"tasks/{draft.name}.json", text + "\n"
    for split in ("train", "test"):
        names = [draft.name for draft in DRAFTS if draft.split == split]
        yield f"splits/default/{split}_tasks.txt", "".join(f"{name}\n" for name in names)


def main() -> None:
    """Write the sample below the folder that `--out` names."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    for path, text in files(options.seed):
        target = options.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

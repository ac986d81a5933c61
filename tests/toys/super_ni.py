"""Super-NI tasks of a few words, in the layout of natural-instructions."""

import json
from pathlib import Path
from typing import Any

from benchbench import Data


def toy(count: int = 3, **changes: Any) -> dict[str, Any]:
    """A task as released; a change to None takes the key away."""
    record = {
        "Contributors": ["Somebody"],
        "Categories": ["Word Analogy", "Second Category"],
        "Definition": ["Say the opposite"],
        "Positive Examples": [
            {"input": " hot ", "output": "cold", "explanation": "-"},
            {"input": "big?", "output": "small!", "explanation": "-"},
            {"input": "third", "output": "never shown", "explanation": "-"},
        ],
        "Negative Examples": [],
        "Instances": [
            {"id": f"toy-{i}", "input": f"word {i}", "output": [f"answer {i}", "other"]}
            for i in range(count)
        ],
    }
    return {k: v for k, v in (record | changes).items() if v is not None}


def write(folder: Path, **tasks: Any) -> Data:
    """Write tasks in the layout of natural-instructions; the train split ends in ``_train``."""
    for split in ("train", "test"):
        path = folder / "splits" / "default" / f"{split}_tasks.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        names = [name for name in tasks if name.endswith("_train") == (split == "train")]
        path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    for name, record in tasks.items():
        path = folder / "tasks" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record), encoding="utf-8")
    return Data(name="super-ni", folder=folder, source="folder")

"""ShareGPT: conversations with ChatGPT that its users shared."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchbench import Data, HubData, Sample, Task, hookimpl
from benchbench.data import key
from benchbench_tasks.corpus import Conversations, rows

SPLIT = "sharegpt_html_cleaned_and_split_2048.json"
WHOLE = ("sg_90k_part1_html_cleaned.json", "sg_90k_part2_html_cleaned.json")
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    # Tülu knows these and leaves their conversations out.
    "system": "system",
    "bing": "other",
}


@dataclass(frozen=True, kw_only=True)
class Sharegpt(Conversations):
    """Conversations with ChatGPT that its users shared, of any number of turns.

    Tülu v1 splits conversations between turns into parts of 2048 tokens at most, which makes
    168,864 samples: this file of open-instruct's is read if it is there. Else the conversations are
    read whole, and what goes beyond 2048 tokens is cut off when they are tokenised. As in Tülu, a
    last question without an answer is left out, and so is a conversation in which the two do not
    take turns, the user first.
    """

    name = "sharegpt"
    source = "https://huggingface.co/datasets/anon8231489123/ShareGPT_Vicuna_unfiltered"
    data_set = "sharegpt"
    embedded = Path(__file__).parent / "sample" / "sharegpt"
    how_to_get = (
        f"put {WHOLE[0]} and {WHOLE[1]} of "
        "https://huggingface.co/datasets/anon8231489123/ShareGPT_Vicuna_unfiltered (or their .gz) "
        f"into {{folder}}, or {SPLIT}, which scripts/prepare_train_data.sh of "
        "https://github.com/allenai/open-instruct makes of them"
    )
    hub = HubData(
        repository="anon8231489123/ShareGPT_Vicuna_unfiltered",
        revision="192ab2185289094fc556ec8ce5ce1e8e587154ca",
        files={
            "HTML_cleaned_raw_dataset/sg_90k_part1_html_cleaned.json": WHOLE[0],
            "HTML_cleaned_raw_dataset/sg_90k_part2_html_cleaned.json": WHOLE[1],
        },
    )

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        is_split = any((data.folder / f"{SPLIT}{end}").exists() for end in ("", ".gz"))
        files = [rows(data.folder / name) for name in ((SPLIT,) if is_split else WHOLE)]
        for i, (row, where) in enumerate(chain(*files)):
            if messages := read_messages(row, where):
                first = messages[0]["content"]
                yield Sample(id=str(i), input=first, context={"messages": messages})


def read_messages(row: Any, where: str) -> list[dict[str, str]]:
    """Return the messages of a conversation, none if it is left out."""
    messages = []
    for n, turn in enumerate(key(row, "conversations", list, where)):
        place = f"conversations[{n}] of {where}"
        speaker = key(turn, "from", str, place)
        if speaker not in ROLES:
            raise ValueError(f"'from' of {place} is {speaker!r}; it must be {' or '.join(ROLES)}")
        content = key(turn, "value", str, place).strip()
        messages.append({"role": ROLES[speaker], "content": content})
    rounds = len(messages) // 2
    answered = messages[: 2 * rounds]
    in_turns = [each["role"] for each in answered] == ["user", "assistant"] * rounds
    return answered if in_turns else []


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [Sharegpt]

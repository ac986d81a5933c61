"""ShareGPT: conversations with ChatGPT that its users shared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from benchbench import Data, HubData, Sample, Task, hookimpl
from benchbench.data import Row, read_rows
from benchbench_tasks.corpus import Conversations

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


class Turn(Row):
    """A message; the file calls ``speaker`` ``from``."""

    speaker: Literal[*ROLES]
    value: str


class Shared(Row):
    """A row of the files."""

    conversations: list[Turn]


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
        paths = [data.folder / name for name in ((SPLIT,) if is_split else WHOLE)]
        files = [read_rows(path, Shared, speaker="from") for path in paths]
        for i, row in enumerate(chain(*files)):
            if messages := in_turns(row.conversations):
                first = messages[0]["content"]
                yield Sample(id=str(i), input=first, context={"messages": messages})


def in_turns(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Return the messages of a conversation, none if it is left out."""
    messages = [{"role": ROLES[turn.speaker], "content": turn.value.strip()} for turn in turns]
    rounds = len(messages) // 2
    answered = messages[: 2 * rounds]
    roles = [each["role"] for each in answered]
    return answered if roles == ["user", "assistant"] * rounds else []


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [Sharegpt]

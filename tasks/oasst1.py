"""OpenAssistant Conversations: trees of messages that volunteers wrote (arXiv 2304.07327)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchbench import Data, HubData, Sample, Task, hookimpl
from benchbench.data import DataError, Row, read_rows
from benchbench_tasks.corpus import Conversations

FILE = "2023-04-12_oasst_ready.messages.jsonl"
ROLES = {"prompter": "user", "assistant": "assistant"}


class Rating(Row):
    """How many rated a message so, as a mean from 0 to 1."""

    value: float


class Labels(Row):
    """Ratings of a message: files of messages name each, tables of the hub list them."""

    quality: Rating = Rating(0.0)
    name: list[str] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.name) != len(self.value):
            raise ValueError(f"{len(self.name)} name and {len(self.value)} value; as many of each")


class Said(Row):
    """A row of the file: a message."""

    message_id: str
    role: Literal[*ROLES]
    text: str
    parent_id: str | None = None
    deleted: bool | None = None
    labels: Labels | None = None

    @property
    def quality(self) -> float:
        """How good it was rated, 0 where nobody did."""
        labels = self.labels or Labels()
        listed = dict(zip(labels.name, labels.value, strict=True))
        return listed.get("quality", labels.quality.value)


@dataclass(frozen=True, kw_only=True)
class Oasst1(Conversations):
    """Conversations that volunteers wrote, both sides of them, in 35 languages.

    One sample for each way through a tree from its first message to an answer that nothing was
    replied to. So does Tülu v1 (allenai/open-instruct, its reformat_datasets.py), which leaves out
    what was deleted and what follows it; an answer whose replies all led nowhere ends no sample.
    The paper counts 34,795 samples.
    """

    name = "oasst1"
    source = "https://arxiv.org/abs/2304.07327"
    data_set = "oasst1"
    how_to_get = (
        f"put {FILE}.gz of https://huggingface.co/datasets/OpenAssistant/oasst1 into {{folder}}"
    )
    hub = HubData(
        repository="OpenAssistant/oasst1",
        revision="fdf72ae0827c1cda404aff25b6603abec9e3399b",
        files={f"{FILE}.gz": f"{FILE}.gz"},
    )

    replies: int = 0
    """Replies followed at each point of a tree, those rated best; 0 follows all, as Tülu v1 does,
    and 1 is Tülu v2's."""

    def __post_init__(self) -> None:
        if self.replies < 0:
            raise ValueError(f"replies is {self.replies}; it must be 0, which follows all, or more")

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        for way in ways(read_replies(data.folder / FILE), self.replies):
            turns = [{"role": ROLES[each.role], "content": each.text.strip()} for each in way]
            yield Sample(
                id=way[-1].message_id, input=turns[0]["content"], context={"messages": turns}
            )


def ways(replies: Mapping[str | None, Sequence[Said]], most: int) -> Iterator[list[Said]]:
    """Yield the ways from a root to an answer without a reply, following ``most`` replies each."""
    open_ways = [[root] for root in reversed(replies[None])]
    while open_ways:
        way = open_ways.pop()
        last = way[-1]
        if last.deleted:
            continue
        following = replies.get(last.message_id, ())
        if last.role == "assistant" and not following:
            yield way
        following = [each for each in following if not each.deleted]
        if most:
            following = sorted(following, key=lambda each: -each.quality)[:most]
        open_ways += [[*way, each] for each in reversed(following)]


def read_replies(path: Path) -> dict[str | None, list[Said]]:
    """Read what was replied to each message, by its id; None has the first messages of all trees.

    A message whose parent is not in the file, as in a file of one language, is in no tree.
    """
    replies: dict[str | None, list[Said]] = {None: []}
    seen = set()
    for i, row in enumerate(read_rows(path, Said), start=1):
        if row.message_id in seen:
            raise DataError(
                f"line {i} of {path} has the message_id of an earlier line, {row.message_id!r}; "
                "get the file again."
            )
        seen.add(row.message_id)
        replies.setdefault(row.parent_id, []).append(row)
    return replies


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [Oasst1]

"""OpenAssistant Conversations: trees of messages that volunteers wrote (arXiv 2304.07327)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchbench import Data, HubData, Sample, Task, hookimpl
from benchbench.data import key
from benchbench_tasks.corpus import Conversations, rows

FILE = "2023-04-12_oasst_ready.messages.jsonl"
ROLES = {"prompter": "user", "assistant": "assistant"}


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
        for path in ways(read_trees(data.folder / FILE), self.replies):
            turns = [{"role": each.role, "content": each.text} for each in path]
            yield Sample(id=path[-1].id, input=path[0].text, context={"messages": turns})


@dataclass(frozen=True, kw_only=True)
class Node:
    """A message and its replies."""

    id: str
    role: str
    text: str
    deleted: bool
    quality: float
    replies: list["Node"] = field(default_factory=list)


def ways(roots: Sequence[Node], most: int) -> Iterator[list[Node]]:
    """Yield the ways from a root to an answer without a reply, following ``most`` replies each."""
    open_ways = [[root] for root in reversed(roots)]
    while open_ways:
        way = open_ways.pop()
        last = way[-1]
        if last.deleted:
            continue
        if last.role == "assistant" and not last.replies:
            yield way
        replies = [each for each in last.replies if not each.deleted]
        if most:
            replies = sorted(replies, key=lambda each: -each.quality)[:most]
        open_ways += [[*way, each] for each in reversed(replies)]


def read_trees(path: Path) -> list[Node]:
    """Read the first messages of all trees, with all that follows them.

    A message whose parent is not in the file, as in a file of one language, is in no tree.
    """
    nodes: dict[str, Node] = {}
    replies: dict[str | None, list[Node]] = defaultdict(list)
    for row, where in rows(path):
        node = read_node(row, where)
        if node.id in nodes:
            raise ValueError(f"{where} has the message_id of an earlier line, {node.id!r}")
        nodes[node.id] = node
        replies[row.get("parent_id")].append(node)
    for parent, node in nodes.items():
        node.replies.extend(replies[parent])
    return replies[None]


def read_node(row: Any, where: str) -> Node:
    role = key(row, "role", str, where)
    if role not in ROLES:
        raise ValueError(f"'role' of {where} is {role!r}; it must be {' or '.join(ROLES)}")
    return Node(
        id=key(row, "message_id", str, where),
        role=ROLES[role],
        text=key(row, "text", str, where).strip(),
        deleted=bool(row.get("deleted")),
        quality=quality(row.get("labels") or {}),
    )


def quality(labels: Mapping[str, Any]) -> float:
    """Return how good a message was rated, 0 where nobody did.

    Files of messages name each label; tables of the hub have a list of names and one of values.
    """
    if "name" in labels:
        rated = dict(zip(labels["name"], labels["value"], strict=True))
        return float(rated.get("quality") or 0)
    return float(labels.get("quality", {"value": 0})["value"])


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [Oasst1]

"""Super-NaturalInstructions: unseen tasks from their definitions (arXiv 2204.07705).

Of each test task only the first 100 instances count: they were put there on purpose, balanced
over the labels, so nothing is shuffled before they are cut. The prompt is Tk-Instruct's, spaces
included; one more follows its last colon:

    Definition: {definition}

     Positive Example 1 -
    Input: {input}
     Output: {output}

    Now complete the following example -
    Input: {input}
    Output:
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from string import punctuation
from typing import Any

from benchbench import Data, Generation, Message, Protocol, Sample, Task, hookimpl
from benchbench.data import DataError, Items, Row, Texts, read_json, read_names
from benchbench.metrics import exact_match, rouge_l

DRAWN = 200
"""Training instances come from the first 200 of a task, as in the study."""


def tk_instruct(summary: str, shots: int) -> Protocol:
    """Return a protocol with the lengths that Tk-Instruct and the study share."""
    return Protocol(
        summary=summary,
        generation=Generation(max_tokens=128),
        shots=shots,
        form="text",
        max_prompt_tokens=1024,
        cut="right",
    )


class Instance(Row):
    """An input and its outputs; of an example, the first is shown."""

    input: str
    output: Texts
    id: Any = None


class Released(Row):
    """A file of a task."""

    Definition: Texts
    Categories: Texts
    Examples: list[Instance]
    Instances: Items[Instance]


@dataclass(frozen=True, kw_only=True)
class SuperNI(Task):
    """Follow the definition of a task never trained on; scored by ROUGE-L.

    Prompt, metrics and test instances are Tk-Instruct's (its ni_collator.py, compute_metrics.py and
    ni_dataset.py); training instances are the study's (arXiv 2411.16775, its ni_dataset.py).
    """

    name = "super-ni"
    family = "instruction-following"
    source = "https://arxiv.org/abs/2204.07705"
    data_set = "super-ni"
    embedded = Path(__file__).parent / "sample" / "super-ni"
    how_to_get = "run: git clone https://github.com/allenai/natural-instructions {folder}"
    metric = "rouge_l"
    splits = ("train", "validation", "test", "in-task", "trained")
    evaluation_only = ("instances",)
    training_only = ("train_instances", "train_tasks", "validation_tasks", "validation_instances")
    cluster = "task"
    protocols = {
        "definition": tk_instruct("The definition alone, as in the study.", shots=0),
        "def-pos2": tk_instruct("The definition and two examples, as Tk-Instruct.", shots=2),
    }

    instances: int = 100
    """First instances of each test task; the published numbers are on 100."""
    train_instances: int = 100
    """Instances of each training task, 1 to 100; a smaller number takes a part of a larger."""
    train_tasks: int = 0
    """Tasks to train on, drawn once for all seeds; a smaller number takes a part of a larger. 0
    takes all that validation leaves."""
    validation_tasks: int = 0
    """Training tasks that are held out to choose a checkpoint by; the study's are 50."""
    validation_instances: int = 100
    """First instances of each validation task."""

    def __post_init__(self) -> None:
        for name, least in (("instances", 1), ("validation_instances", 1), ("train_tasks", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")
        if self.validation_tasks < 0:
            raise ValueError(f"validation_tasks is {self.validation_tasks}; it must be 0 or more")
        if not 1 <= self.train_instances <= DRAWN // 2:
            raise ValueError(
                f"train_instances is {self.train_instances}; it must lie in 1 to {DRAWN // 2}, as "
                "the others of a training task are kept for testing on seen tasks"
            )

    def samples(self, split: str, data: Data) -> Iterator[Sample]:
        chosen = {
            "train": lambda count: draw(count)[: self.train_instances],
            "validation": lambda count: range(min(count, self.validation_instances)),
            "test": lambda count: range(min(count, self.instances)),
            "in-task": lambda count: self._held_out(count)[: self.instances],
            "trained": lambda count: draw(count)[: self.train_instances][: self.instances],
        }[split]
        for name in self._tasks(split, data.folder / "splits" / "default"):
            yield from read_task(data.folder / "tasks" / f"{name}.json", chosen)

    def _tasks(self, split: str, folder: Path) -> list[str]:
        """Return the tasks of a split, in the order of their file."""
        if split == "test":
            return read_names(folder / "test_tasks.txt")
        names = read_names(folder / "train_tasks.txt")
        drawn = sorted(names)
        Random(42).shuffle(drawn)
        held_out, others = drawn[: self.validation_tasks], drawn[self.validation_tasks :]
        if len(others) < max(1, self.train_tasks):
            raise DataError(
                f"{str(folder / 'train_tasks.txt')!r} names {len(names)} tasks, of which "
                f"validation_tasks={self.validation_tasks} leaves {len(others)} and train_tasks is "
                f"{self.train_tasks}; choose fewer."
            )
        wanted = held_out if split == "validation" else others[: self.train_tasks or None]
        return [name for name in names if name in set(wanted)]

    def _held_out(self, count: int) -> list[int]:
        """Return the instances of a training task that no training sees.

        As in the study, none of a task that has too few, unless ``train_instances`` leaves some.
        """
        return draw(count)[DRAWN // 2 if count > DRAWN // 2 else self.train_instances :]

    def prompt(
        self, sample: Sample, protocol: Protocol, fits: Callable[[str], bool]
    ) -> Sequence[Message]:
        head = f"Definition: {closed(sample.context['definition'])}\n\n"
        tail = f"Now complete the following example -\nInput: {closed(sample.input)}\nOutput: "
        shown = [
            f" Positive Example {i} -\nInput: {closed(example['input'])}\n"
            f" Output: {closed(example['output'])}\n\n"
            for i, example in enumerate(sample.context["examples"][: protocol.shots], start=1)
        ]
        # Released: add examples while the prompt fits. Taking away the last until it fits comes to
        # the same, and mostly asks once: asking is what takes the time.
        while shown and not fits(head + "".join(shown) + tail):
            shown.pop()
        return [Message(role="user", content=head + "".join(shown) + tail)]

    def target(self, sample: Sample, random: Random) -> str:
        # Stripped, because the prompt ends in a space; T5's tokenizer did it for the study.
        return random.choice(sample.targets).strip()

    def score(self, sample: Sample, answers: Sequence[str]) -> Mapping[str, float]:
        answer = answers[0]
        return {
            "rouge_l": rouge_l(answer, sample.targets),
            "exact_match": exact_match(answer, sample.targets),
        }


def closed(field: str) -> str:
    """Return a field that ends in ASCII punctuation, with a full stop where it had none."""
    field = field.strip()
    return field if field.endswith(tuple(punctuation)) else f"{field}."


def draw(count: int) -> list[int]:
    """Return the order in which training instances are taken from a task of ``count``.

    The study draws once, with seed 42 whatever the run's seed, from the first 200 instances; the
    first half is for training, the other for testing on seen tasks. Smaller tasks keep their order.
    """
    order = list(range(min(count, DRAWN)))
    if count >= DRAWN:
        Random(42).shuffle(order)
    return order


def read_task(path: Path, chosen: Callable[[int], Iterable[int]]) -> Iterator[Sample]:
    """Read a task as released; ``chosen`` says which of so many instances, and in what order."""
    task = read_json(path, Released, Examples="Positive Examples")
    shots = max(protocol.shots for protocol in SuperNI.protocols.values())
    examples = [{"input": each.input, "output": each.output[0]} for each in task.Examples[:shots]]
    context = {"definition": task.Definition[0], "examples": examples}
    groups = {"task": path.stem, "category": task.Categories[0]}
    ids = instance_ids(task.Instances)
    for i in chosen(len(ids)):
        yield Sample(
            id=f"{groups['task']}/{ids[i]}",
            input=task.Instances[i].input,
            targets=task.Instances[i].output,
            groups=groups,
            context=context,
        )


def instance_ids(instances: Sequence[Instance]) -> list[str]:
    """Return the released ids, or places in the file unless every id is there and distinct."""
    ids = [each.id for each in instances]
    if all(isinstance(each, str) for each in ids) and len(set(ids)) == len(ids):
        return ids
    return [str(i) for i in range(len(ids))]


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [SuperNI]

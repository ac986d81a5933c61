"""The matrix of methods: what each is, and how the exam found it. Pure."""

from collections.abc import Sequence
from inspect import getdoc

from benchbench.registry.registry import Registry
from benchbench.testing.exam import ENCODER_DECODER, Exam

HEAD = """# Methods

Written by `benchbench check --all --matrix docs/methods.md`, which examines every method on a small
random Llama and serves it by every engine that is installed. "Trained" counts parameters; all of
that model's are {total:,}. "T5" says whether a small T5, an encoder-decoder model, was trained and
served as well. What a check did, or why it was not tried, `benchbench check METHOD` says.

"""

COLUMNS = ("method", "family", "what it does", "trained", "route", "exam", "T5", "source")
MARKS = {"passed": "yes", "failed": "**failed**", "not tried": "–"}


def matrix_page(exams: Sequence[Exam], registry: Registry) -> str:
    """Return a page with a row for each exam."""
    total = max((exam.trainable_parameters or 0 for exam in exams), default=0)
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(_cells(exam, registry) for exam in exams)]
    return HEAD.format(total=total) + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(exam: Exam, registry: Registry) -> tuple[str, ...]:
    cls = registry.methods[exam.method.partition(":")[0]]
    does = (getdoc(cls) or "").split("\n")[0].replace("``", "`").replace("|", "\\|")
    status = {check.name: check.status for check in exam.checks}
    failed = [name for name, each in status.items() if each == "failed"]
    passed = sum(each == "passed" for each in status.values())
    return (
        f"`{exam.method}`",
        cls.family,
        does,
        f"{exam.trainable_parameters:,}" if exam.trainable_parameters else "–",
        exam.route or "–",
        f"**failed**: {', '.join(failed)}" if failed else f"{passed} of {len(status)} passed",
        MARKS[status[ENCODER_DECODER]],
        f"[{_short(cls.source)}]({cls.source})" if cls.source else "–",
    )


def _short(address: str) -> str:
    host, _, rest = address.removeprefix("https://").partition("/")
    return f"arXiv {rest.removeprefix('abs/')}" if host == "arxiv.org" else host

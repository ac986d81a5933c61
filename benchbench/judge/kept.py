"""Answers of judges that were paid for once and are not asked for again."""

from pathlib import Path
from typing import Any, NamedTuple

from benchbench import files
from benchbench.errors import StoreError, reading


class Answer(NamedTuple):
    """What a judge said to one question."""

    key: str
    """The question's."""
    logprobs: tuple[float | None, float | None] = (None, None)
    """ln p of the labels; None for one that is not among the judge's likeliest tokens."""
    error: str = ""
    """Why the question has no answer; then it is asked again another time."""
    refused: bool = False
    """Whether that error is about this question alone: the judge is there, and said so."""
    served: str = ""
    """What the endpoint says it is: its model, and its fingerprint if it gives one."""


class Kept:
    """A judgements.jsonl: one answer a line, added as they come. Without a path, in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._answers = {} if path is None else _read(path)

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def get(self, key: str) -> Answer | None:
        return self._answers.get(key)

    def add(self, answer: Answer, judge: str) -> None:
        """Keep an answer; it survives the death of this process."""
        if answer.key in self._answers:
            return
        self._answers[answer.key] = answer
        if self._path is None:
            return
        row: dict[str, Any] = {"key": answer.key, "judge": judge, "logprobs": answer.logprobs}
        row |= {"served": answer.served} if answer.served else {}
        try:
            files.append(self._path, row)
        except OSError as error:
            raise StoreError(
                f"cannot write {str(self._path)!r} ({error.strerror}); mend that and give the same "
                "command again: no answer that was kept is asked for again."
            ) from error


def _read(path: Path) -> dict[str, Answer]:
    with reading(repr(str(path)), StoreError, "move it away, and the judge is asked again"):
        answers = [_answer(row) for row in files.read_lines(path)]
    return {answer.key: answer for answer in answers}


def _answer(row: Any) -> Answer:
    first, second = (None if each is None else float(each) for each in row["logprobs"])
    return Answer(str(row["key"]), (first, second), served=str(row.get("served", "")))

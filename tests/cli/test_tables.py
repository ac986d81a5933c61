import re
from dataclasses import replace

import pytest

from benchbench.boards.markdown import markdown
from benchbench.boards.page import page
from benchbench.boards.rank import Interval, rank
from benchbench.boards.table import COLUMNS, Column, columns, meanings, score_rows, span
from benchbench.cli.tables import aligned, show, split
from tests.toys import result, run_record

FULL, PART = run_record("whole"), run_record("part")
RUNS = {r.run_id: r for r in (FULL, PART)}


ROWS = rank(RUNS, [result(FULL, *[0.6] * 12), result(PART, *[0.5] * 12)])
SCORE_COLUMNS = columns(ROWS)


def table() -> list[dict[str, str]]:
    return score_rows(ROWS)


def test_a_row_says_what_its_comparison_shows() -> None:
    whole, part = table()
    assert (part["to full"], part["verdict"]) == ("-10.00 (-10.00 to -10.00)", "worse")
    assert part["p"] == "<0.001"
    assert (whole["to full"], whole["p"], whole["verdict"]) == ("–", "–", "–")


def test_a_p_value_has_three_decimals() -> None:
    rows = rank(RUNS, [result(FULL, 0.6, 0.6), result(PART, 0.5, 0.5)])
    assert score_rows(rows)[1]["p"] == "0.500"


def test_the_score_and_its_comparison_fit_100_columns() -> None:
    cells = "prompt-tuning|65.25|47.51 to 83.00|-42.08 (-56.12 to -27.97)|<0.001|unclear|3"
    cells += "|2,311,872 (100.00 %)|38.1 s|752 MB|2.1e-05"
    row = dict(zip(SCORE_COLUMNS, cells.split("|"), strict=True))
    first, second = split([row], SCORE_COLUMNS, 100)
    assert first == SCORE_COLUMNS[:7]
    assert second == ("method", *SCORE_COLUMNS[7:])
    assert split([row], SCORE_COLUMNS, 200) == [SCORE_COLUMNS]


@pytest.mark.parametrize("width", [1, 20, 60])
def test_every_column_is_shown_on_a_terminal_of_any_width(width: int) -> None:
    parts = split(table(), SCORE_COLUMNS, width)
    assert [column for part in parts for column in part[1:]] == list(SCORE_COLUMNS[1:])
    assert {part[0] for part in parts} == {"method"}


def test_a_sentence_is_broken_and_not_moved() -> None:
    rows = [{"name": "lora", "summary": "many words " * 30}]
    assert split(rows, ["name", "summary"], 80) == [("name", "summary")]


def test_no_rows_are_a_heading() -> None:
    assert split([], ["a", "b"], 80) == [("a", "b")]
    assert list(aligned("", [], ["a", "b"])) == ["a  b"]


def test_a_terminal_has_frames(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")  # frames, no colours
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    show("Toys", table(), SCORE_COLUMNS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "Toys"
    assert max(map(len, lines)) <= 100
    assert sum("method" in line for line in lines) == 2
    assert any("worse" in line and "part" in line for line in lines)


def test_markdown_escapes_what_a_stranger_wrote() -> None:
    assert markdown([{"a": "<b>|"}], ["a"]).splitlines()[-1] == "| &lt;b&gt;\\| |"


def test_a_span_leaves_out_what_is_unknown() -> None:
    assert span([None, 0.02, 0.01]) == "1.00 to 2.00"
    assert span([None]) == "unknown"


def test_an_unknown_end_is_said() -> None:
    rows = rank(RUNS, [result(FULL, 0.6)])
    assert rows[0].score == Interval(value=0.6, low=None, high=None)
    assert score_rows(rows)[0]["95% interval"] == "unknown"


def test_only_judged_tables_tell_of_length() -> None:
    judged = columns([replace(ROWS[0], judge="wise")])
    assert [each for each in judged if each not in SCORE_COLUMNS] == [
        each.heading for each in COLUMNS if each.topic == "judge"
    ]


def test_what_a_column_means_is_told_on_the_page_once() -> None:
    assert "bootstrapped over each kind." in meanings(ROWS, "kind", "table")
    assert "all comparisons of the table (1)" in meanings(ROWS, "kind", "comparison")
    for topic in ("table", "judge", "comparison"):
        said = meanings(ROWS, "{kind}", topic)
        assert said.count("{") == said.count("{kind}")
        sentences = re.split(r"(?<=\.) ", said)
        assert len(sentences) == len(set(sentences)) > 0


def test_a_new_column_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Column("bytes", lambda row: f"{row.bytes} B", "Bytes are those of the files.")
    monkeypatch.setattr("benchbench.boards.table.COLUMNS", (*COLUMNS, wide))
    text = page("Toys", {"echo@say": ROWS}, [result(FULL, *[0.6] * 12)])
    assert columns(ROWS)[-1] == "bytes"
    assert "Bytes are those of the files." in text and text.count(" 7 B |") == 2

from dataclasses import replace
from xml.etree import ElementTree

from benchbench.boards.chart import chart
from benchbench.boards.rank import Interval, rank
from tests.toys import result, run_record

FULL, PART = run_record("whole"), run_record("part")
ROWS = rank({r.run_id: r for r in (FULL, PART)}, [result(FULL, 0.6, 0.7), result(PART, 0.4, 0.6)])
SVG = "{http://www.w3.org/2000/svg}"


def test_every_entry_has_a_dot_and_an_interval_within_the_picture() -> None:
    root = ElementTree.fromstring(chart("Toys", ROWS))
    dots = [float(c.attrib["cx"]) for c in root.iter(f"{SVG}circle")]
    assert len(dots) == len(ROWS)
    assert dots == sorted(dots, reverse=True)
    assert all(0 < x < float(root.attrib["width"]) for x in dots)
    assert len([e for e in root.iter(f"{SVG}line") if "stroke-opacity" in e.attrib]) == 2


def test_an_unknown_interval_is_left_out() -> None:
    unknown = replace(ROWS[0], score=Interval(value=0.5, low=None, high=None))
    assert "stroke-opacity" not in chart("Toys", [unknown])


def test_names_of_strangers_are_escaped() -> None:
    text = chart("<b>", [replace(ROWS[0], label="<script>alert(1)</script>")])
    assert "<script>" not in text
    ElementTree.fromstring(text)

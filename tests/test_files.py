"""Files are written whole or not at all, or line by line."""

from pathlib import Path

import pytest

from benchbench import files


def test_a_file_takes_the_place_of_the_old_one_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    for content in (b"first", b"second"):
        files.write(path, content)
        assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == ["file.json"]


def test_what_is_interrupted_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    files.write(path, b"old")
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as part:
        part.write_bytes(b"half of the n")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.replacing(tmp_path / "file.json"):
        pass


def test_lines_are_added_and_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    assert files.read_lines(path) == []
    rows = [{"text": "line\nfeed, \u2028 and é"}, [1, None]]
    for row in rows:
        files.append(path, row)
    assert files.read_lines(path) == rows
    assert "é" in path.read_text(encoding="utf-8")


def test_half_a_line_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    files.append(path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"a": ')
    assert files.read_lines(path) == [1]
    assert path.read_bytes() == whole


def test_a_line_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.append(tmp_path / "rows.jsonl", float("nan"))
    assert not (tmp_path / "rows.jsonl").exists()
    (tmp_path / "rows.jsonl").write_bytes(b"no\n")
    with pytest.raises(ValueError, match="Expecting value"):
        files.read_lines(tmp_path / "rows.jsonl")

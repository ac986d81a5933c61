"""Files are written whole or not at all."""

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

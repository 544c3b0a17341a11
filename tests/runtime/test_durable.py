"""Files are replaced whole, with their mode, and leave no temporary file behind."""

from pathlib import Path

import pytest

from portico.runtime import durable


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for content in (b"the first content", b"", b"another"):
        durable.write(path, content, mode=0o600)
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "keys.json"]


def test_a_file_is_created_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    durable.create(path, b"the first content")
    with pytest.raises(FileExistsError):
        durable.create(path, b"another")
    assert path.read_bytes() == b"the first content"
    assert list(tmp_path.iterdir()) == [tmp_path / "keys.json"]


def test_what_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        durable.write(tmp_path / "folder", b"content")
    with pytest.raises(FileNotFoundError):
        durable.write(tmp_path / "missing" / "file", b"content")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_files_and_folders_are_flushed_to_the_disk(tmp_path: Path) -> None:
    durable.sync(tmp_path)
    with pytest.raises(FileNotFoundError):
        durable.sync(tmp_path / "missing")

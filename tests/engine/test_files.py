"""Files are there in full or not at all."""

from pathlib import Path

import pytest

from engine.files import replacing, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "best.txt"
    write_text(file, "old")

    def write_half() -> None:
        with replacing(file) as part:
            part.write_text("half")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        write_half()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_new_text_replaces_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "übersicht.txt"
    write_text(file, "old and longer")
    write_text(file, "ß")
    assert file.read_bytes() == "ß".encode()
    assert list(tmp_path.iterdir()) == [file]

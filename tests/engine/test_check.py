"""Every picture is opened once; the verdict is kept until the file changes."""

import os
from pathlib import Path

import pytest
from PIL import Image

from engine.data import check
from engine.data.check import check_pictures
from engine.data.decode import decode_file
from tests.engine.pictures import distinct_pictures, save


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were decoded, in any order."""
    names: list[str] = []

    def counting(path: Path, at_least: int | None = None) -> Image.Image:
        names.append(path.name)
        return decode_file(path, at_least)

    monkeypatch.setattr(check, "decode_file", counting)
    return names


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = distinct_pictures(tmp_path / "photos", {"cats": 4})
    return sorted((folder / "cats").iterdir())


def test_a_second_look_decodes_nothing(
    tmp_path: Path, files: list[Path], decoded: list[str]
) -> None:
    first = check_pictures(tmp_path / "photos", files)
    assert len(decoded) == 4
    second = check_pictures(tmp_path / "photos", files)
    assert len(decoded) == 4
    assert second == first
    assert all(verdict.digest and not verdict.reason for verdict in first.values())


def test_a_changed_file_is_judged_again(
    tmp_path: Path, files: list[Path], decoded: list[str]
) -> None:
    before = check_pictures(tmp_path / "photos", files)
    decoded.clear()
    save(Image.new("RGB", (30, 30), "white"), files[2])
    after = check_pictures(tmp_path / "photos", files)
    assert decoded == [files[2].name]
    assert after[files[2]].digest != before[files[2]].digest
    assert after[files[1]] == before[files[1]]


def test_a_change_that_keeps_the_size_is_seen(
    tmp_path: Path, files: list[Path], decoded: list[str]
) -> None:
    check_pictures(tmp_path / "photos", files)
    decoded.clear()
    size, changed_at = files[0].stat().st_size, files[0].stat().st_mtime_ns
    files[0].write_bytes(b"x" * size)
    os.utime(files[0], ns=(changed_at + 1_000_000, changed_at + 1_000_000))
    verdicts = check_pictures(tmp_path / "photos", files)
    assert decoded == [files[0].name]
    assert verdicts[files[0]].reason


def test_a_file_that_was_mended_is_good_again(tmp_path: Path, files: list[Path]) -> None:
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[:40])
    assert check_pictures(tmp_path / "photos", files)[files[0]].reason
    files[0].write_bytes(whole)
    assert not check_pictures(tmp_path / "photos", files)[files[0]].reason


def test_a_file_that_went_away_has_a_reason(tmp_path: Path, files: list[Path]) -> None:
    files[1].unlink()
    verdict = check_pictures(tmp_path / "photos", files)[files[1]]
    assert verdict.reason
    assert verdict.digest == ""


def test_equal_content_has_an_equal_digest(tmp_path: Path, files: list[Path]) -> None:
    files[1].write_bytes(files[0].read_bytes())
    verdicts = check_pictures(tmp_path / "photos", files)
    assert verdicts[files[0]].digest == verdicts[files[1]].digest
    assert verdicts[files[0]].digest != verdicts[files[2]].digest


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b'{"a": 3}', b'{"a": {"b": 1}}'])
def test_a_damaged_memory_is_forgotten(
    tmp_path: Path, files: list[Path], thaw_home: Path, decoded: list[str], content: bytes
) -> None:
    check_pictures(tmp_path / "photos", files)
    [memory] = (thaw_home / "cache" / "checks").iterdir()
    memory.write_bytes(content)
    decoded.clear()
    check_pictures(tmp_path / "photos", files)
    assert len(decoded) == 4


def test_progress_counts_to_the_number_of_files(tmp_path: Path, files: list[Path]) -> None:
    told: list[tuple[int, int]] = []
    check_pictures(tmp_path / "photos", files, lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "p.jpg"
    os.mkfifo(pipe)
    assert check_pictures(tmp_path, [pipe])[pipe].reason == "not a file"


def test_what_could_not_be_opened_is_tried_again(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = check.content_digest

    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(check, "content_digest", refuse)
    verdicts = check_pictures(tmp_path / "photos", files)
    assert all("Permission denied" in one.reason for one in verdicts.values())
    monkeypatch.setattr(check, "content_digest", real)
    assert not any(one.reason for one in check_pictures(tmp_path / "photos", files).values())

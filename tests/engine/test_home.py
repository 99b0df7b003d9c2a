"""THAW_HOME is made where it is missing, and refused with a sentence where that cannot be."""

from pathlib import Path

import pytest

from engine.errors import HomeError
from engine.home import cache_folder, run_folder, thaw_home


def test_a_missing_home_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = tmp_path / "deep" / "my home"
    monkeypatch.setenv("THAW_HOME", str(wanted))
    assert thaw_home() == wanted.resolve()
    assert wanted.is_dir()
    assert list(wanted.iterdir()) == []


def test_a_home_below_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "file" / "thaw"))
    with pytest.raises(HomeError, match=r"cannot write to its folder .*file/thaw.* set THAW_HOME"):
        thaw_home()


def test_folders_lie_below_home(thaw_home: Path) -> None:
    assert run_folder("abc") == thaw_home.resolve() / "runs" / "abc"
    assert cache_folder("checks").is_dir()
    assert cache_folder("checks").is_relative_to(thaw_home.resolve())

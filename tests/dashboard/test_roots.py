"""Which folders pages may read: who starts Thaw says so."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dashboard.server
from dashboard.roots import VARIABLE, allowed_roots
from engine.cli.app import app
from engine.cli.serve import default, serve  # noqa: F401


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What THAW_ROOTS was when the dashboard would have been started."""
    seen: list[str] = []
    monkeypatch.delenv(VARIABLE, raising=False)
    # Set, so that what the command sets is undone.
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr(
        dashboard.server, "serve", lambda host, port, token_file: seen.append(os.environ[VARIABLE])
    )
    return seen


def test_roots_are_named_when_thaw_is_started(served: list[str], tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for command in (["serve"], []):
        roots = ["--root", str(tmp_path / "a"), "--root", str(tmp_path / "b")]
        ended = CliRunner().invoke(app, [*command, *roots])
        assert ended.exit_code == 0, ended.output
        assert allowed_roots()[:2] == [tmp_path / "a", tmp_path / "b"]
    assert len(served) == 2


def test_a_root_that_is_not_there_is_refused(served: list[str], tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["serve", "--root", str(tmp_path / "nowhere")])
    assert ended.exit_code == 2
    assert "nowhere" in ended.output.replace("\n", "").replace("│", "").replace(" ", "")
    assert served == []


def test_thaws_own_data_sets_are_always_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, thaw_home: Path
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "a"))
    assert allowed_roots() == [tmp_path / "a", thaw_home / "datasets"]
    monkeypatch.delenv(VARIABLE)
    monkeypatch.chdir(tmp_path)
    assert allowed_roots() == [tmp_path, thaw_home / "datasets"]

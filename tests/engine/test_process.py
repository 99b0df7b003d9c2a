"""Processes that outlive their parent, known by number and by when they started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.runs.process import is_alive, process_started, start_detached


def test_this_process_is_alive_and_a_stranger_with_its_number_is_not() -> None:
    started = process_started(os.getpid())
    assert started is not None
    assert is_alive(os.getpid(), started)
    # The time of boot, which start times are told against, is corrected while a run goes on.
    for corrected in (-1.0, 1.0, 2.0):
        assert is_alive(os.getpid(), started + corrected)
    assert not is_alive(os.getpid(), started - 60.0)
    assert not is_alive(os.getpid(), started + 60.0)


def test_a_process_that_ended_is_gone_even_before_it_is_collected() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process_started(child.pid)
    assert started is not None
    assert is_alive(child.pid, started)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it stays as a zombie
    assert process_started(child.pid) is None
    assert not is_alive(child.pid, started)
    child.communicate()


def test_a_detached_process_has_a_session_of_its_own_and_a_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "this.log"
    for _ in range(2):
        child = start_detached(["this"], log)
        assert os.getsid(child.pid) == child.pid
        assert child.wait(timeout=60) == 0
    assert log.read_text().count("Zen of Python") == 2


def test_a_detached_process_keeps_its_memory_unless_the_person_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "told.py").write_text(
        "import os; print(os.environ['MALLOC_MMAP_MAX_'], os.environ['MALLOC_TRIM_THRESHOLD_'])"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    for name, setting in (("0", None), ("7", "7")):
        if setting is not None:
            monkeypatch.setenv("MALLOC_MMAP_MAX_", setting)
        log = tmp_path / name
        assert start_detached(["told"], log).wait(timeout=60) == 0
        assert log.read_text().split() == [name, "100000000000"]


def test_a_detached_process_gets_the_environment_that_it_is_given(tmp_path: Path) -> None:
    child = start_detached(["site"], tmp_path / "log", {"PYTHONUSERBASE": "/marked"})
    child.wait(timeout=60)
    assert "/marked" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("name", ["random", "engine"])
def test_a_file_of_that_name_where_one_stands_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / f"{name}.py").write_text("raise SystemExit('somebody else')\n")
    monkeypatch.chdir(tmp_path)
    child = start_detached(["engine.runs.supervisor"], tmp_path / "log")
    assert child.wait(timeout=60) == 0, (tmp_path / "log").read_text()

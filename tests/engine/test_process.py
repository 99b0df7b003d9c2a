"""Processes that outlive their parent, known by number and by when they started."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from engine.runs.process import (
    IS_LINUX,
    end_group,
    host_name,
    is_alive,
    machine_name,
    process_started,
    start_detached,
)
from tests.engine.waiting import wait_for


def test_this_process_is_alive_and_a_stranger_with_its_number_is_not() -> None:
    started = process_started(os.getpid())
    assert started is not None
    assert is_alive(os.getpid(), started)
    assert process_started(os.getpid()) == started
    for other in (-60.0, -0.01, 0.01, 60.0) if IS_LINUX else (-60.0, 60.0):
        assert not is_alive(os.getpid(), started + other)
        assert not end_group(os.getpid(), started + other)


@pytest.mark.skipif(not IS_LINUX, reason="other systems tell no time since the start")
def test_the_start_is_told_whatever_a_process_is_called(tmp_path: Path) -> None:
    odd = tmp_path / ") Z 1 2 (x"
    odd.symlink_to(shutil.which("sleep") or "")
    child = subprocess.Popen([odd, "60"])
    try:
        wait_for(lambda: ")" in psutil.Process(child.pid).name(), 60, "its name")
        started = process_started(child.pid)
        assert started is not None
        assert abs(started - (time.clock_gettime(time.CLOCK_BOOTTIME))) < 30.0
        assert is_alive(child.pid, started)
    finally:
        child.kill()
        child.wait()


def test_the_machine_is_known_by_its_name_and_its_last_start() -> None:
    assert machine_name().startswith(host_name())
    assert machine_name() == machine_name()


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

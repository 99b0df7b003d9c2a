"""What processes print, and what is told of those that end badly."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.logs.lines import LogEntry
from engine.logs.output import CUT, cut_output, tail
from engine.logs.places import run_log, service_log
from tests.engine.logged import entries_of
from tests.engine.waiting import wait_for

# ---- what processes print


def test_output_is_cut_at_its_beginning_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    with path.open("ab") as opened:
        for number in range(2000):
            opened.write(f"line {number}\n".encode())
        opened.flush()
        assert not cut_output(path, most_bytes=10**6)
        assert cut_output(path, most_bytes=10_000, left_bytes=5_000)
        opened.write(b"and on\n")
    kept = path.read_bytes()
    assert kept.startswith(CUT + b"line ")
    assert kept.endswith(b"line 1999\nand on\n")
    assert len(kept) < 5_200
    assert tail(path, 20) == "line 1999\nand on\n"
    assert tail(tmp_path / "none", 30) == ""


# ---- processes that end badly

WORKER = """
import sys
from engine.logs import note, start_logs
start_logs("worker", run="3f9a2c1b")
note("runs", "worker begins")
{what}
"""


def end_badly(what: str) -> tuple[int, str, list[LogEntry]]:
    """Returns exit code, stderr and log of a process that does something."""
    done = subprocess.run(
        [sys.executable, "-c", WORKER.format(what=what)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr, entries_of(run_log("3f9a2c1b"))


@pytest.fixture
def home(thaw_home: Path) -> Path:
    thaw_home.mkdir()
    return thaw_home


def test_an_uncaught_exception_is_in_the_log_and_on_stderr(home: Path) -> None:
    code, said, (_, last) = end_badly("1 / 0")
    assert code == 1
    assert "ZeroDivisionError" in said
    assert last.event == "uncaught exception"
    assert last.level == "CRITICAL"
    assert "ZeroDivisionError" in last.fields["traceback"]
    assert [one.event for one in entries_of(service_log())] == [
        "worker begins",
        "uncaught exception",
    ]


def test_an_uncaught_exception_in_a_thread_is_in_the_log(home: Path) -> None:
    what = "import threading; t = threading.Thread(target=lambda: 1 / 0, name='helper-thread'); "
    _, _, (_, last) = end_badly(what + "t.start(); t.join()")
    assert last.fields["thread"] == "helper-thread"
    assert last.fields["error"] == "ZeroDivisionError"


def test_a_crash_leaves_what_the_interpreter_did(home: Path) -> None:
    code, _, (_, last) = end_badly("import faulthandler; faulthandler._sigsegv()")
    assert code < 0
    assert "Segmentation fault" in last.fields["text"]
    assert "in <module>" in last.fields["traceback"]


def test_a_warning_of_a_library_is_in_the_log_and_on_stderr(home: Path) -> None:
    _, said, (_, last) = end_badly("import warnings; warnings.warn('old ways')")
    assert "old ways" in said
    assert (last.event, last.level, last.fields["text"]) == ("warning", "WARNING", "old ways")


def test_what_was_told_before_a_kill_is_there(home: Path) -> None:
    what = "import os, signal; note('training', 'epoch done'); os.kill(os.getpid(), signal.SIGKILL)"
    code, _, entries = end_badly(what)
    assert code == -9
    assert [one.event for one in entries] == ["worker begins", "epoch done"]
    # What is of no account for the whole is not in the service's log.
    assert [one.event for one in entries_of(service_log())] == ["worker begins"]


def test_a_process_that_floods_its_output_is_bounded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = home / "worker.log"
    code = (
        "import sys, time\nimport engine.logs.output as output\n"
        "output.MOST_BYTES, output.LEFT_BYTES, output.LOOK_SECONDS = 20_000, 10_000, 0.05\n"
        "output.cut_output.__defaults__ = (20_000, 10_000)\n"
        "from engine.logs import start_logs\nstart_logs('helper')\n"
        "for _ in range(400):\n    print('z' * 500, file=sys.stderr, flush=True)\n"
        "    time.sleep(0.005)\ntime.sleep(0.5)\n"
    )
    with printed.open("ab") as opened:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=opened)
    try:
        wait_for(lambda: process.poll() is not None, 60, "the process to end")
    finally:
        process.kill()
        process.wait()
    assert 0 < printed.stat().st_size <= 30_000
    assert printed.read_bytes().startswith(CUT)

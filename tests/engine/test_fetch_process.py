"""Fetching in a process of its own: how far it is, what comes of it, and that it ends in time."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine.data.fetching import Fetched
from engine.errors import DataError
from engine.runs import fetch_process
from engine.runs.fetch_process import FetchStep, fetch_in_process
from tests.engine.downloaded import LAYOUTS, Maker
from tests.engine.waiting import wait_for

CALLER = """
from engine.runs.fetch_process import fetch_in_process
for step in fetch_in_process("svhn"):
    print(step.task, flush=True)
"""


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All downloads go to a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        for variable in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(variable, address)
        monkeypatch.delenv("no_proxy", raising=False)
        yield


def workers(home: Path) -> list[psutil.Process]:
    """Processes that fetch to this home."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if fetch_process.MODULE in (process.info["cmdline"] or []):
            try:
                if process.environ().get("THAW_HOME") == str(home):
                    found.append(process)
            except psutil.Error:
                # It ended while it was looked at.
                continue
    return found


def left(home: Path) -> list[str]:
    """What a process that did not tidy up would have left."""
    parts = [*(home / "datasets").glob(".*"), *(home / "downloads").rglob("*.part")]
    return [str(one) for one in (*parts, *(home / "downloads").glob("*.json"))]


@pytest.fixture
def dtd(thaw_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LAYOUTS["dtd"](thaw_home / "downloads" / "dtd", Maker(monkeypatch))


@pytest.mark.usefixtures("dtd")
def test_steps_come_and_then_the_data_set(thaw_home: Path) -> None:
    *steps, last = fetch_in_process("dtd")
    assert steps[-1] == FetchStep("writing", 4, 4)
    assert isinstance(last, Fetched)
    assert last.folder == thaw_home / "datasets" / "dtd"
    assert (last.num_pictures, last.is_new) == (4, True)
    assert last.notes
    [again] = fetch_in_process("dtd")
    assert again == Fetched(last.folder, 4, last.notes, is_new=False)


def test_what_is_wrong_is_a_sentence() -> None:
    with pytest.raises(DataError, match="There is no data set 'nothing' to fetch"):
        list(fetch_in_process("nothing"))


def test_a_process_that_ends_without_a_word_is_told(
    monkeypatch: pytest.MonkeyPatch, thaw_home: Path
) -> None:
    monkeypatch.setattr(fetch_process, "MODULE", "engine.nothing")
    with pytest.raises(DataError, match="ended without a word"):
        list(fetch_in_process("dtd"))
    assert "engine.nothing" in (thaw_home / "fetch.log").read_text()


@pytest.mark.usefixtures("silent")
def test_it_ends_and_tidies_up_when_nobody_looks_any_more(thaw_home: Path) -> None:
    steps = fetch_in_process("svhn")
    while next(steps) != FetchStep("downloading", 0, 0):
        assert workers(thaw_home)
    # Told again while nothing comes, so that who reads may look up.
    assert next(steps) == next(steps) == FetchStep("downloading", 0, 0)
    assert left(thaw_home)
    steps.close()
    assert not workers(thaw_home)
    assert left(thaw_home) == []


@pytest.mark.usefixtures("silent")
def test_it_ends_with_a_caller_that_is_killed(thaw_home: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CALLER], stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        while caller.stdout.readline() != "downloading\n":
            assert caller.poll() is None
        assert len(workers(thaw_home)) == 1
        caller.kill()
    wait_for(lambda: not workers(thaw_home), 60, "the end of the process")
    assert left(thaw_home) == []


WORKER = """
import sys, time
from engine.runs import fetch_worker

def wait():
    print("waits", file=sys.stderr, flush=True)
    time.sleep(60)

class Freed:
    def __del__(self):
        wait()

def fetch(where, tell):
    try:
        if where == "in a finaliser":
            Freed()
        wait()
    finally:
        print("tidied up", file=sys.stderr, flush=True)

fetch_worker.fetch = fetch
sys.exit(fetch_worker.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("where", ["in a finaliser", "in the open"])
def test_an_interrupt_is_neither_slept_through_nor_swallowed(where: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stderr is not None
        assert worker.stderr.readline() == "waits\n"
        worker.stdin.close()
        assert worker.stderr.read().endswith("tidied up\n")
        assert worker.wait(60) == 1

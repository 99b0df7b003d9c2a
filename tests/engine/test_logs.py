"""Logs: whole lines whoever writes, bounded files, and what is read from their end."""

import json
import logging
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from engine.logs import note, start_logs
from engine.logs.files import LineFile
from engine.logs.lines import LogEntry, one_line, read_line
from engine.logs.places import run_log, service_log
from engine.logs.reading import Follower, last_entries
from tests.engine.logged import entries_of, started

__all__ = ["started"]


def line(number: int, level: str = "INFO", **fields: Any) -> str:
    entry = LogEntry(1e9 + number, level, f"event {number}", "thaw.test", "worker", 7, "", fields)
    return json.dumps(entry.to_dict())


# ---- lines


def test_a_note_is_one_line_that_says_who_when_and_what(started: Path) -> None:
    start_logs("command")
    note("runs", "run queued", run="3f9a2c1b", name="Frozen\nand more", number=3)
    [text] = service_log().path.read_text().splitlines()
    values = json.loads(text)
    assert values["time"].endswith("Z")
    assert len(values["time"]) == len("2026-11-26T06:50:23.123Z")
    assert {name: values[name] for name in ("level", "logger", "process", "run", "event")} == {
        "level": "INFO",
        "logger": "thaw.runs",
        "process": "command",
        "run": "3f9a2c1b",
        "event": "run queued",
    }
    assert values["pid"] == os.getpid()
    assert values["fields"] == {"name": "Frozen\nand more", "number": 3}
    assert run_log("3f9a2c1b").path.read_text().splitlines() == [text]


def test_an_error_brings_its_traceback_as_a_field(started: Path) -> None:
    start_logs("command")
    try:
        raise RuntimeError("no luck")
    except RuntimeError as error:
        note("runs", "training failed", logging.ERROR, error=error)
    [entry] = entries_of(service_log())
    assert entry.level == "ERROR"
    assert entry.fields["error"] == "RuntimeError"
    assert entry.fields["traceback"].startswith("Traceback (most recent call last)")
    assert entry.fields["traceback"].endswith("RuntimeError: no luck")
    assert "Traceback" not in one_line(entry)


def test_warnings_of_libraries_are_kept_and_what_they_chat_is_not(started: Path) -> None:
    start_logs("command")
    logging.getLogger("some.library").warning("the file %s is odd", "a.jpg")
    logging.getLogger("some.library").info("opened a file")
    said = [one.fields.get("message") for one in entries_of(service_log())]
    assert said[0] == "the file a.jpg is odd"
    assert "opened a file" not in said


@pytest.mark.parametrize(
    ("level", "written"), [("ERROR", 1), ("warning", 2), ("DEBUG", 4), ("loud", 3), ("", 3)]
)
def test_the_level_is_chosen_by_the_environment(
    started: Path, monkeypatch: pytest.MonkeyPatch, level: str, written: int
) -> None:
    monkeypatch.setenv("THAW_LOG_LEVEL", level)
    start_logs("command")
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        note("runs", "event", number)
    assert len(entries_of(service_log())) == written


def test_without_a_home_nothing_is_made_and_nothing_fails(
    started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_HOME", str(started / "not there"))
    start_logs("command")
    note("runs", "run queued", run="3f9a2c1b")
    monkeypatch.setenv("THAW_HOME", str(Path(__file__)))
    start_logs("command")
    note("runs", "run queued", run="3f9a2c1b")
    assert list(started.iterdir()) == []


def test_what_is_no_json_is_told_all_the_same(started: Path) -> None:
    start_logs("command")
    note("runs", "odd", a=float("nan"), b=Path("/x"), c={1: {2}}, d="\ud800", e="x" * 50_000)
    [entry] = entries_of(service_log())
    assert entry.fields["a"] == "nan"
    assert entry.fields["b"] == "/x"
    assert entry.fields["c"] == {"1": [2]}
    assert len(entry.fields["e"]) < 20_000


# ---- several processes, bounds

WRITE_MANY = """
import sys
from pathlib import Path
from engine.logs.files import LineFile
file = LineFile(Path(sys.argv[1]), most_bytes=int(sys.argv[3]), kept=int(sys.argv[4]))
for number in range(300):
    file.append('{"who": %s, "number": %d, "filler": "%s"}' % (sys.argv[2], number, "x" * 5000))
"""


def write_from_four(path: Path, most_bytes: int, kept: int) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE_MANY, str(path), str(who), str(most_bytes), str(kept)]
        )
        for who in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]


def test_lines_of_several_processes_stay_whole_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write_from_four(path, most_bytes=10**9, kept=1)
    read = [json.loads(text) for text in path.read_text().splitlines() if text]
    assert sorted((one["who"], one["number"]) for one in read) == [
        (who, number) for who in range(4) for number in range(300)
    ]
    for who in range(4):
        own = [one["number"] for one in read if one["who"] == who]
        assert own == sorted(own)


def test_files_take_bounded_room_with_several_writers_and_their_lines_stay_whole(
    tmp_path: Path,
) -> None:
    most, kept = 200_000, 2
    write_from_four(tmp_path / "log.jsonl", most, kept)
    parts = sorted(tmp_path.glob("*.jsonl"))
    assert [part.name for part in parts] == ["log.1.jsonl", "log.2.jsonl", "log.jsonl"]
    # A writer that had the full file open just then adds its line there.
    assert sum(part.stat().st_size for part in parts) <= (kept + 1) * most + 4 * 6000
    read = [json.loads(text) for part in parts for text in part.read_text().splitlines() if text]
    assert len(read) == len({(one["who"], one["number"]) for one in read})
    assert len(read) > 60


def test_the_newest_lines_come_last_over_all_the_files(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "log.jsonl", most_bytes=3000, kept=2)
    for number in range(60):
        file.append(line(number))
    found, has_more = last_entries(file.parts, 20)
    assert [one.event for one in found] == [f"event {number}" for number in range(40, 60)]
    assert has_more


# ---- torn lines, plain text


def test_a_torn_line_is_left_out_and_the_next_one_is_whole(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "log.jsonl")
    file.append(line(1))
    with file.path.open("ab") as opened:
        opened.write(line(2).encode()[:40])
    assert [one.event for one in entries_of(file)] == ["event 1"]
    file.append(line(3))
    assert [one.event for one in entries_of(file)] == ["event 1", "event 3"]


@pytest.mark.parametrize(
    "torn", [b"", b"{", b"{}", b'{"time": 3}', b"[1]" * 3, b"\xff\xfe", b'{"time":"' + b"9" * 99]
)
def test_whatever_a_line_holds_it_is_an_entry_or_none(torn: bytes) -> None:
    entry = read_line(torn)
    assert entry is None or entry.event == "text"


def test_plain_text_of_a_crash_is_one_entry(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "log.jsonl")
    file.append(line(1))
    with file.path.open("a") as opened:
        opened.write("Fatal Python error: Segmentation fault\n\nThread 1:\n  File x\n")
    file.append(line(2))
    first, crash, last = entries_of(file)
    assert (first.event, last.event) == ("event 1", "event 2")
    assert crash.level == "CRITICAL"
    assert one_line(crash) == "Fatal Python error: Segmentation fault"
    assert crash.fields["traceback"].splitlines()[-1] == "  File x"


# ---- reading


def test_a_hundred_mib_are_read_from_their_end_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    block = (line(0, filler="y" * 900) + "\n").encode() * 1000
    with path.open("wb") as opened:
        for _ in range(100 * 2**20 // len(block)):
            opened.write(block)
        opened.write((line(1) + "\n").encode())
    tracemalloc.start()
    found, has_more = last_entries([path], 500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(found), found[-1].event, has_more) == (500, "event 1", True)
    assert peak < 8 * 2**20


def test_a_file_that_is_one_line_of_many_mib_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(line(1).encode() + b"\n{" + b"x" * (20 * 2**20) + b"\n" + line(2).encode())
    tracemalloc.start()
    found, _ = last_entries([path], 500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one.event for one in found] == ["event 1", "event 2"]
    assert peak < 8 * 2**20


def test_only_a_level_and_above(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "log.jsonl")
    for number in range(2000):
        file.append(line(number, "ERROR" if number % 500 == 0 else "INFO"))
    found, has_more = last_entries(file.parts, 3, "warning")
    assert [one.event for one in found] == ["event 500", "event 1000", "event 1500"]
    assert has_more


def test_a_follower_gives_each_line_once_over_a_change_of_files(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "log.jsonl", most_bytes=1000, kept=3)
    follower = Follower(file.path)
    seen: list[str] = []
    for number in range(30):
        file.append(line(number))
        seen += [one.event for one in follower.new_entries()]
    follower.close()
    assert seen == [f"event {number}" for number in range(30)]


def test_a_follower_waits_for_the_rest_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    whole = (line(1) + "\n").encode()
    path.write_bytes(whole)
    follower = Follower(path)
    with path.open("ab") as opened:
        opened.write(whole[:30])
        opened.flush()
        assert follower.new_entries() == []
        opened.write(whole[30:])
    assert [one.event for one in follower.new_entries()] == ["event 1"]
    follower.close()

"""The log of a run on the page: opened when asked, shown as text, filtered, more on request."""

import json
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.log_section import LINES, _whole_log, _whole_output
from dashboard.log_text import entries_html, short_time
from engine.home import run_folder
from engine.logs.lines import LogEntry
from engine.logs.places import run_log, run_output
from engine.runs.store import Run, Store
from tests.dashboard.made import add_run, finish, start
from tests.dashboard.pages import choose, open_page, run, text_of

ODD = "<img src=x onerror=alert(1)> & <script>alert(2)</script> **bold** $x$"


def write(one: Run, number: int, level: str = "INFO", **fields: str) -> None:
    entry = LogEntry(
        1.7e9 + number, level, f"event {number}", "thaw.test", "worker", 7, one.id, dict(fields)
    )
    run_log(one.id).append(json.dumps(entry.to_dict()))


@pytest.fixture
def made(store: Store) -> Run:
    one = finish(store, start(store, add_run(store)))
    run_folder(one.id).mkdir(parents=True, exist_ok=True)
    return one


def opened(*runs: Run, page: str = "live") -> AppTest:
    """The Live page with the runs, and the log opened."""
    shown = open_page("live", [one.id for one in runs])
    shown.session_state[f"{page}.log"] = True
    return run(shown)


def log_of(page: AppTest) -> str:
    return "".join(one.proto.body for one in page.get("html") if "thaw-log" in one.proto.body)


def labels(page: AppTest) -> set[str]:
    return {one.label for one in page.button} | {
        one.proto.label for one in page.get("download_button")
    }


def test_a_log_is_read_only_when_it_is_opened(made: Run) -> None:
    write(made, 1)
    page = open_page("live", [made.id])
    assert "Log" in {one.label for one in page.expander}
    assert log_of(page) == ""
    assert "event 1" in log_of(opened(made))


def test_nothing_is_written_yet(made: Run) -> None:
    page = opened(made)
    assert "Nothing is written yet." in text_of(page)
    assert not {"Download the log", "Download what was printed"} & labels(page)


def test_levels_are_chosen(made: Run) -> None:
    for number, level in enumerate(("INFO", "WARNING", "ERROR")):
        write(made, number, level)
    page = opened(made)
    assert log_of(page).count("<time>") == 3
    page = choose(page, "live.log.level", "WARNING")
    assert log_of(page).count("<time>") == 2
    page = choose(page, "live.log.level", "ERROR")
    assert log_of(page).count("<time>") == 1
    run_log(made.id).path.unlink()
    write(made, 1)
    assert "Nothing of the kind." in text_of(run(page))


def test_the_last_lines_are_shown_and_earlier_ones_on_request(made: Run) -> None:
    for number in range(LINES + 20):
        write(made, number)
    page = opened(made)
    assert log_of(page).count("<time>") == LINES
    assert log_of(page).index("event 20<") < log_of(page).index(f"event {LINES + 19}<")
    next(one for one in page.button if one.label == "Earlier lines").click()
    page = run(page)
    assert "event 0<" in log_of(page)
    assert "Earlier lines" not in labels(page)


def test_whatever_a_log_holds_is_text(made: Run) -> None:
    write(made, 1, ODD, text=ODD, traceback=f"Traceback\n{ODD}")
    with run_log(made.id).path.open("a") as log:
        log.write(f"{ODD}\n")
    run_output(made.id).write_text(f"{ODD}\n")
    page = opened(made)
    html = log_of(page)
    for tag in ("<img", "<script"):
        assert tag not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") >= 3
    assert html.count("<details>") == 1
    # Streamlit shows code letter by letter.
    assert page.code[0].value == ODD


def test_what_the_process_printed_is_below_without_secrets_and_both_can_be_had(made: Run) -> None:
    write(made, 1)
    write(made, 2)
    run_output(made.id).write_text("loading postgresql://me:sesame@db/x\n")
    page = opened(made)
    assert page.code[0].value == "loading postgresql://me:***@db/x"
    assert {"Download the log", "Download what was printed"} <= labels(page)
    assert [json.loads(text)["event"] for text in _whole_log(made.id).splitlines()] == [
        "event 1",
        "event 2",
    ]
    assert "sesame" not in _whole_output(made.id)


def test_of_several_runs_one_is_chosen(store: Store, made: Run) -> None:
    other = finish(store, start(store, add_run(store)))
    write(made, 1)
    write(other, 2)
    page = opened(made, other)
    assert "event 1<" in log_of(page)
    page = choose(page, "live.log.run", other.id)
    assert "event 2<" in log_of(page)
    assert "event 1<" not in log_of(page)


def test_the_runs_page_shows_it_for_a_run_that_is_ticked(made: Run) -> None:
    write(made, 1)
    page = open_page("runs")
    assert "Log" not in {one.label for one in page.expander}
    page.session_state[f"runs.table.{made.id[:8]}"] = {
        "selection": {"rows": [0], "columns": [], "cells": []}
    }
    page.session_state["runs.log"] = True
    assert "event 1<" in log_of(run(page))


def test_times_are_those_of_who_looks() -> None:
    assert short_time(1.7e9, UTC) == "14 Nov, 22:13:20"
    assert short_time(1.7e9, ZoneInfo("Asia/Tokyo")) == "15 Nov, 07:13:20"
    assert short_time(None, UTC) == "–"


def test_a_level_that_is_none_cannot_leave_its_place() -> None:
    html = entries_html([LogEntry(None, '"><script>', "x")], UTC)
    assert "<script" not in html

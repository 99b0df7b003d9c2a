"""The live page: complete and without duplicates, whatever happens to page or server."""

import os
import re
import time

from playwright.sync_api import Browser, Page, expect

from engine.runs.process import process_started
from engine.runs.store import Run, Store
from engine.runs.writer import EventWriter
from tests.pretend import pretend_run
from tests.serving import Dashboard, drawn_points, open_page, wait_for_status

STEPS = 20


def write_steps(writer: EventWriter, first: int, last: int) -> None:
    for step in range(first, last + 1):
        values = {"train/loss": 1 / step, "train/accuracy": 0.5, "images_per_second": 100.0}
        writer.emit("step", 1, step, {**values, "lr/head": 1e-3})


def wait_for_points(page: Page, run: Run, count: int) -> list[float]:
    """Returns the x values of the run's training loss once there are `count`, or after 20 s."""
    deadline = time.monotonic() + 20
    xs: list[float] = []
    while time.monotonic() < deadline:
        xs = drawn_points(page).get(f"loss: {run.name} · {run.id[:4]}, train", [])
        if len(xs) >= count:
            break
        time.sleep(0.1)
    return xs


def expected(count: int) -> list[float]:
    return [step / STEPS for step in range(1, count + 1)]


def test_refresh_and_second_tab_show_the_same(browser: Browser, dashboard: Dashboard) -> None:
    store = Store()
    run = pretend_run(store, steps=STEPS)
    writer = EventWriter(store, run.id)
    write_steps(writer, 1, 30)
    page = open_page(browser, f"{dashboard.url}/live?run={run.id}")
    assert wait_for_points(page, run, 30) == expected(30)
    page.reload()
    write_steps(writer, 31, 60)
    other = open_page(browser, f"{dashboard.url}/live?run={run.id}")
    assert wait_for_points(page, run, 60) == expected(60)
    assert wait_for_points(other, run, 60) == expected(60)
    writer.close()
    store.set_status(run.id, "finished")
    wait_for_status(page, "finished")
    for opened in (page, other):
        opened.context.close()


def test_a_killed_dashboard_loses_nothing(browser: Browser, dashboard: Dashboard) -> None:
    store = Store()
    run = pretend_run(store, steps=STEPS)
    writer = EventWriter(store, run.id)
    page = open_page(browser, f"{dashboard.url}/live?run={run.id}")
    write_steps(writer, 1, 25)
    assert wait_for_points(page, run, 25) == expected(25)
    dashboard.kill()
    expect(page.get_by_text("The connection was lost")).to_be_visible(timeout=20_000)
    write_steps(writer, 26, 50)
    dashboard.start()
    assert wait_for_points(page, run, 50) == expected(50)
    write_steps(writer, 51, 60)
    assert wait_for_points(page, run, 60) == expected(60)
    expect(page.get_by_text("The connection was lost")).to_be_hidden()
    writer.close()
    store.set_status(run.id, "finished")
    page.context.close()


def test_stop_reaches_the_run(browser: Browser, dashboard: Dashboard) -> None:
    store = Store()
    run = pretend_run(store)
    writer = EventWriter(store, run.id)
    page = open_page(browser, f"{dashboard.url}/live?run={run.id}")
    wait_for_status(page, "running")
    page.get_by_role("button", name=re.compile(f"^Stop {run.name}")).click()
    wait_for_status(page, "stopping")
    deadline = time.monotonic() + 30
    while not writer.should_stop() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert writer.should_stop()
    writer.close()
    store.set_status(run.id, "stopped", "stopped by hand")
    wait_for_status(page, "stopped")
    expect(page.get_by_text("stopped by hand")).to_be_visible()
    page.context.close()


def test_pause_is_told_at_once_and_a_paused_run_can_be_resumed(
    browser: Browser, dashboard: Dashboard
) -> None:
    store = Store()
    run = pretend_run(store)
    writer = EventWriter(store, run.id)
    write_steps(writer, 1, 5)
    page = open_page(browser, f"{dashboard.url}/live?run={run.id}")
    card = page.locator(f'[data-run="{run.id}"]')
    pause = card.get_by_role("button", name=re.compile(f"^Pause {run.name}"))
    resume = card.get_by_role("button", name=re.compile(f"^Resume {run.name}"))
    expect(pause).to_be_enabled(timeout=20_000)
    expect(resume).to_be_hidden()
    # In the same breath, before any answer of the server could have come.
    told = pause.evaluate(
        """(button) => {
          button.click();
          return button.closest(".thaw-card").querySelector(".thaw-status").textContent;
        }"""
    )
    assert told == "pausing"
    expect(pause).to_be_disabled()
    deadline = time.monotonic() + 30
    while not writer.should_pause() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert store.run(run.id).status == "pausing"
    writer.refuse_pause("There is no room on the disk; free some, and pause it again.")
    wait_for_status(page, "running")
    expect(card.get_by_text("There is no room on the disk")).to_be_visible()
    expect(pause).to_be_enabled()
    pause.click()
    wait_for_status(page, "pausing")
    writer.close()
    store.set_status(run.id, "paused", "paused in epoch 1, after 5 of its 20 steps")
    wait_for_status(page, "paused")
    expect(card.get_by_text("paused in epoch 1, after 5 of its 20 steps")).to_be_visible()
    expect(resume).to_be_visible()
    expect(pause).to_be_hidden()
    expect(card.get_by_role("button", name=re.compile("^Stop"))).to_be_hidden()
    page.reload()
    expect(resume).to_be_visible(timeout=20_000)
    page.context.close()


def test_a_run_that_was_cut_off_goes_on_and_draws_no_step_twice(
    browser: Browser, dashboard: Dashboard
) -> None:
    store = Store()
    run = pretend_run(store, steps=STEPS)
    writer = EventWriter(store, run.id)
    write_steps(writer, 1, 30)
    page = open_page(browser, f"{dashboard.url}/live?run={run.id}")
    assert wait_for_points(page, run, 30) == expected(30)
    writer.close()
    store.set_status(run.id, "interrupted", "The training process was killed (signal 9).")
    button = page.get_by_role("button", name=re.compile(f"^Resume {run.name}"))
    expect(button).to_be_visible()
    # What the process does that takes the run up after its first epoch; a supervisor that claims
    # the run would start one for which there are no pictures.
    started = process_started(os.getpid())
    store.set_status(
        run.id, "running", only_from=["interrupted"], pid=os.getpid(), pid_started=started
    )
    store.forget_after(run.id, STEPS, 1)
    writer = EventWriter(store, run.id)
    writer.emit("progress", 1, STEPS, {"task": "resumed", "resumed_after": 1})
    write_steps(writer, STEPS + 1, 35)
    wait_for_status(page, "running")
    expect(button).to_be_hidden()
    assert wait_for_points(page, run, 35) == expected(35)
    page.wait_for_timeout(500)
    assert wait_for_points(page, run, 35) == expected(35)
    writer.close()
    store.set_status(run.id, "stopped", "stopped by hand")
    page.context.close()


def test_what_befell_a_run_stays_on_its_card(browser: Browser, dashboard: Dashboard) -> None:
    store = Store()
    run = pretend_run(store, steps=STEPS)
    writer = EventWriter(store, run.id)
    write_steps(writer, 1, 3)
    note = "Memory ran out with 8 pictures at once, so each step is computed in 2 parts."
    damaged = "state-000002.safetensors is damaged (its checksum does not fit)."
    writer.emit("progress", 1, 3, {"task": "state", "state_note": damaged})
    writer.emit("progress", 1, 4, {"task": "memory", "memory_note": note})
    page = open_page(browser, f"{dashboard.url}/live?run={run.id}")
    line = page.locator(f'[data-run="{run.id}"] .thaw-befell')
    expect(line).to_have_text(note, timeout=20_000)
    expect(line).to_have_attribute("title", f"{damaged}\n{note}")
    write_steps(writer, 4, 6)
    assert wait_for_points(page, run, 6) == expected(6)
    expect(line).to_be_visible()
    expect(page.locator(f'[data-run="{run.id}"] .thaw-line')).not_to_contain_text("memory")
    writer.close()
    store.set_status(run.id, "finished")
    page.context.close()


def test_a_new_run_appears_by_itself(browser: Browser, dashboard: Dashboard) -> None:
    page = open_page(browser, f"{dashboard.url}/live")
    store = Store()
    run = pretend_run(store, name="Newcomer")
    expect(page.locator(f'[data-run="{run.id}"]')).to_be_visible(timeout=10_000)
    store.set_status(run.id, "failed", "The training loss became NaN in epoch 1.")
    expect(page.get_by_text("The training loss became NaN in epoch 1.")).to_be_visible()
    page.context.close()


def test_names_are_text_not_markup(browser: Browser, dashboard: Dashboard) -> None:
    store = Store()
    run = pretend_run(store, name="<img src=x onerror=window.hacked=1>")
    page = open_page(browser, f"{dashboard.url}/live?run={run.id}")
    name = page.locator(f'[data-run="{run.id}"] .thaw-name')
    expect(name).to_contain_text("<img src=x", timeout=20_000)
    assert page.evaluate("window.hacked") is None
    store.set_status(run.id, "finished")
    page.context.close()


def test_an_unknown_run_is_told(browser: Browser, dashboard: Dashboard) -> None:
    page = open_page(browser, f"{dashboard.url}/live?run=nonesuch")
    expect(page.get_by_text("There is no run 'nonesuch'")).to_be_visible(timeout=10_000)
    page.context.close()

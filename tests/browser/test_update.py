"""Updates as they happen: old and new images on the Live page, results on the Update page."""

import re
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from engine.events import Value
from engine.runs.store import Run, Store
from engine.runs.writer import EventWriter
from tests.dashboard.made_updates import add_update, epoch_event, tell_update
from tests.dashboard.updating import add_model
from tests.pretend import pretend_run
from tests.serving import Dashboard, click, open_page, wait_for_status

BEGINS: dict[str, Value] = {
    "task": "update",
    "updates": "base",
    "new_classes": 1,
    "old_images_seen_again": 0,
    "old_accuracy_before": 0.75,
    "new_accuracy_before": 0.25,
}
DRAWN = """() => {
    const plot = document.querySelector('.thaw-plot[data-chart="update"]');
    plot?.dispatchEvent(new Event("pointerenter"));
    return Object.fromEntries((plot?.data || []).map((trace) => [
        trace.name.split(", ").at(-1),
        { x: [...trace.x], y: [...trace.y], dash: trace.line.dash },
    ]));
}"""


def begin(store: Store, base: Run) -> tuple[Run, EventWriter]:
    """An update that this process pretends to train, and what writes its events."""
    run = pretend_run(store, name="naive", updates=base.id)
    writer = EventWriter(store, run.id)
    writer.emit("progress", 0, 0, BEGINS)
    return run, writer


def tell(writer: EventWriter, epoch: int, old: float, new: float) -> None:
    _, kind, *_, values = epoch_event(epoch, old, new, (old + new) / 2)
    writer.emit(kind, epoch, epoch, values)


def drawn(page: Page, num_epochs: int) -> dict[str, dict[str, list[float]]]:
    """Returns the lines of the chart once the old images' has so many epochs, or after 20 s."""
    deadline = time.monotonic() + 20
    lines: dict[str, dict[str, list[float]]] = {}
    while time.monotonic() < deadline:
        lines = page.evaluate(DRAWN)
        if lines.get("old", {}).get("x", [])[-1:] == [num_epochs]:
            break
        time.sleep(0.1)
    return lines


def test_forgetting_is_seen_as_it_happens(browser: Browser, dashboard: Dashboard) -> None:
    store = Store()
    base = pretend_run(store, name="base")
    store.set_status(base.id, "finished")
    run, writer = begin(store, base)
    page = open_page(browser, f"{dashboard.url}/live?run={run.id}")
    chart = page.get_by_role("img", name="Old and new images against epochs")
    expect(chart).to_be_visible()
    for epoch, old, new in ((1, 0.5, 0.5), (2, 0.25, 0.75)):
        tell(writer, epoch, old, new)
        lines = drawn(page, epoch)
    assert (lines["old"]["x"], lines["old"]["y"]) == ([0, 1, 2], [0.75, 0.5, 0.25])
    assert (lines["new"]["x"], lines["new"]["y"]) == ([0, 1, 2], [0.25, 0.5, 0.75])
    assert (lines["all"]["x"], lines["all"]["y"]) == ([1, 2], [0.5, 0.5])
    assert (lines["before"]["y"], lines["before"]["dash"]) == ([0.75, 0.75], "dash")
    expect(page.get_by_text(re.compile(r"old images 25\.0 % \(75\.0 % before\)"))).to_be_visible()
    writer.close()
    store.set_status(run.id, "finished")
    wait_for_status(page, "finished")
    # One that has ended is drawn the same, and told again by a resume it is no second line.
    writer = EventWriter(store, run.id)
    writer.emit("progress", 0, 0, BEGINS)
    writer.close()
    page.reload()
    assert drawn(page, 2) == lines
    click(page.get_by_role("button", name="new images", exact=True))
    page.wait_for_function(
        """() => document.querySelector('.thaw-plot[data-chart="update"]').data
            .filter((trace) => trace.visible === false).length === 1"""
    )
    page.context.close()


def test_a_run_that_is_no_update_has_four_charts(browser: Browser, dashboard: Dashboard) -> None:
    store = Store()
    base = pretend_run(store, name="base")
    page = open_page(browser, f"{dashboard.url}/live?run={base.id}")
    wait_for_status(page, "running")
    expect(page.locator(".thaw-chart:visible")).to_have_count(4)
    run, writer = begin(store, base)
    page.goto(f"{dashboard.url}/live?run={base.id}&run={run.id}")
    expect(page.locator(".thaw-chart:visible")).to_have_count(5)
    writer.close()
    for one in (base, run):
        store.set_status(one.id, "finished")
    page.context.close()


def test_what_updates_came_to_is_drawn_anew_as_each_of_them_ends(
    browser: Browser, dashboard: Dashboard, tiny_folder: Path
) -> None:
    store = Store()
    base = add_model(store, tiny_folder)
    first, second = (tell_update(store, add_update(store, base, m)) for m in ("naive", "lwf"))
    page = open_page(browser, f"{dashboard.url}/update?run={base.id}")
    so_far = page.get_by_text("is running; what is shown of it is what it came to so far.")
    expect(so_far).to_have_count(2)
    store.set_status(first.id, "finished", summary={"seconds": 3.0})
    expect(so_far).to_have_count(1)
    store.set_status(second.id, "finished", summary={"seconds": 3.0})
    expect(so_far).to_have_count(0)
    page.context.close()

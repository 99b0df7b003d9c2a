"""The live page under stress: zoom, hidden lines, a tab that nobody sees, very long runs."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from engine.runs.store import NewEvent, Run, Store
from tests.pretend import pretend_run
from tests.serving import Dashboard, drawn_points, open_page, wait_for_status

STEPS = 1000
MOST_POINTS = 6000
MIB = 2**20


@pytest.fixture
def store(thaw_home: object) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def run(store: Store) -> Iterator[Run]:
    pretended = pretend_run(store, epochs=100, steps=STEPS)
    yield pretended
    store.set_status(pretended.id, "finished", only_from=["running", "stopping"])


@pytest.fixture
def page(browser: Browser, dashboard: Dashboard, run: Run) -> Iterator[Page]:
    opened = open_page(browser, f"{dashboard.url}/live?run={run.id}", height=1600)
    broken: list[str] = []
    opened.on("pageerror", lambda error: broken.append(str(error)))
    expect(opened.locator(".thaw-card")).to_be_visible(timeout=20_000)
    yield opened
    opened.context.close()
    assert broken == []


def loss_at(step: int) -> float:
    """A curve with two single peaks, which a thinner line must not lose."""
    return {777: 90.0, 12_345: 0.001}.get(step, 2 + (step * 7919 % 1000) / 1000)


def step_event(step: int) -> NewEvent:
    values = {"train/loss": loss_at(step), "images_per_second": 100.0, "lr/head": 1e-3}
    return (time.time(), "step", (step - 1) // STEPS + 1, step, values)


def epoch_event(epoch: int) -> NewEvent:
    values = {"train/accuracy": 0.5, "val/accuracy": epoch / 1000, "val/loss": 1 / epoch}
    return (time.time(), "epoch", epoch, epoch * STEPS, values)


def write(store: Store, run: Run, first: int, last: int, batch: int = 1000) -> None:
    """Writes steps, and an epoch after each thousand."""
    for start in range(first, last + 1, batch):
        steps = range(start, min(start + batch, last + 1))
        events = [step_event(step) for step in steps]
        events += [epoch_event(step // STEPS) for step in steps if step % STEPS == 0]
        store.append(run.id, events)


def line(run: Run, name: str) -> str:
    return f"{run.name} · {run.id[:4]}, {name}"


def points(page: Page, run: Run, name: str = "train", chart: str = "loss") -> list[float]:
    return drawn_points(page).get(f"{chart}: {line(run, name)}", [])


def wait_for_last(page: Page, run: Run, step: int, seconds: float = 60) -> list[float]:
    """Returns the x values of the training loss once the last of them is `step`."""
    deadline = time.monotonic() + seconds
    while not (xs := points(page, run)) or xs[-1] != step / STEPS:
        assert time.monotonic() < deadline, xs[-3:]
        page.wait_for_timeout(200)
    return xs


def plot(page: Page, chart: str, expression: str) -> Any:
    """Returns what a JavaScript expression says of a chart's `plot`."""
    return page.locator(f"[data-chart={chart}]").evaluate(f"(plot) => {expression}")


def ranges(page: Page, chart: str) -> list[list[float]]:
    found: list[list[float]] = plot(
        page, chart, "['xaxis', 'yaxis'].map((axis) => [...plot._fullLayout[axis].range])"
    )
    return found


def visible_lines(page: Page, chart: str) -> list[str]:
    shown: list[str] = plot(
        page, chart, "plot.data.filter((it) => it.visible !== false).map((it) => it.name)"
    )
    return shown


def zoom(page: Page, chart: str) -> None:
    """Drags a rectangle over the middle of a chart."""
    box = page.locator(f"[data-chart={chart}] .nsewdrag").first.bounding_box()
    assert box is not None
    left, top = box["x"], box["y"]
    page.mouse.move(left + 0.3 * box["width"], top + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(left + 0.6 * box["width"], top + 0.7 * box["height"], steps=5)
    page.mouse.up()


def legend(page: Page, text: str) -> Any:
    return page.locator(".thaw-legend").get_by_role("button", name=text)


def test_zoom_and_hidden_lines_survive_a_thousand_updates(
    page: Page, store: Store, run: Run
) -> None:
    write(store, run, 1, STEPS)
    wait_for_last(page, run, STEPS)
    before = ranges(page, "loss")
    zoom(page, "loss")
    page.wait_for_function(
        "([low, high]) => document.querySelector('[data-chart=loss]')._fullLayout.xaxis.range[1]"
        " < high",
        arg=before[0],
    )
    zoomed = ranges(page, "loss")
    kinds = page.locator(".thaw-legend [data-line^=kind]")
    assert kinds.all_inner_texts() == ["validation", "training", "head"]
    legend(page, "validation").click()
    expect(legend(page, "validation")).to_have_attribute("aria-pressed", "false")
    write(store, run, STEPS + 1, 2 * STEPS, batch=1)
    wait_for_last(page, run, 2 * STEPS)
    assert ranges(page, "loss") == zoomed
    for chart in ("loss", "accuracy"):
        assert visible_lines(page, chart) == [line(run, "train")]
        # It is kept up to date all the same.
        assert points(page, run, "val", chart) == [1, 2]
    legend(page, "validation").click()
    page.wait_for_function(
        "() => document.querySelector('[data-chart=loss]').data.every((it) => it.visible)"
    )
    assert ranges(page, "loss") == zoomed
    page.locator("[data-chart=loss] .nsewdrag").first.dblclick()
    page.wait_for_function(
        "(low) => document.querySelector('[data-chart=loss]')._fullLayout.xaxis.range[0] < low",
        arg=zoomed[0][0],
    )
    [[left, right], [_, top]] = ranges(page, "loss")
    assert left == 0
    assert right > 2
    assert top > loss_at(777)


def test_a_run_can_be_hidden_on_all_charts(
    browser: Browser, dashboard: Dashboard, store: Store, run: Run
) -> None:
    other = pretend_run(store, "Other", epochs=2, steps=STEPS)
    for one in (run, other):
        write(store, one, 1, STEPS)
    page = open_page(browser, f"{dashboard.url}/live?run={run.id}&run={other.id}", height=1600)
    for one in (run, other):
        wait_for_last(page, one, STEPS)
    legend(page, "Other").click()
    for chart in ("loss", "accuracy", "lr", "speed"):
        page.wait_for_function(
            """([chart, name]) => document.querySelector(`[data-chart=${chart}]`).data
                .every((it) => it.visible === !it.name.startsWith(name))""",
            arg=[chart, "Other"],
        )
    store.set_status(other.id, "finished")
    wait_for_status(page, "finished")
    assert all(not name.startswith("Other") for name in visible_lines(page, "loss"))
    page.context.close()


# ---- a tab that nobody sees


def set_hidden(page: Page, hidden: bool) -> None:
    """Makes the page believe that its tab is (not) behind another one."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "visibilityState",
                { configurable: true, get: () => (hidden ? "hidden" : "visible") });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def count_streams(page: Page) -> list[str]:
    """Returns a list that grows by the address of every event stream that the page opens."""
    opened: list[str] = []
    page.on(
        "request", lambda request: opened.append(request.url) if "/events" in request.url else None
    )
    return opened


def test_a_tab_that_nobody_sees_gives_its_stream_back_and_catches_up(
    page: Page, store: Store, run: Run
) -> None:
    write(store, run, 1, 300)
    wait_for_last(page, run, 300)
    opened, ended = count_streams(page), []
    page.on("requestfailed", lambda request: ended.append(request.url))
    page.clock.install()
    page.clock.resume()
    set_hidden(page, True)
    page.clock.fast_forward("10:00")
    deadline = time.monotonic() + 20
    while not ended and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert len(ended) == 1
    write(store, run, 301, 2500)
    page.wait_for_timeout(1500)
    assert points(page, run)[-1] == 0.3
    assert opened == []
    set_hidden(page, False)
    assert wait_for_last(page, run, 2500) == [step / STEPS for step in range(1, 2501)]
    assert points(page, run, "val") == [1, 2]
    [url] = opened
    assert f"{run.id}%3A3" in url


def test_a_frozen_tab_catches_up(page: Page, store: Store, run: Run) -> None:
    write(store, run, 1, 300)
    wait_for_last(page, run, 300)
    session: CDPSession = page.context.new_cdp_session(page)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    write(store, run, 301, 1300, batch=20)
    time.sleep(2)
    session.send("Page.setWebLifecycleState", {"state": "active"})
    assert wait_for_last(page, run, 1300) == [step / STEPS for step in range(1, 1301)]


# ---- very long runs


def heap_mib(page: Page) -> float:
    """What the page's JavaScript holds, once it has been swept."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    session.detach()
    return float(next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize")) / MIB


@pytest.mark.parametrize(
    "num_steps", [20_000, pytest.param(100_000, marks=pytest.mark.slow)], ids=lambda n: f"{n}"
)
def test_very_long_runs_are_thinned_without_losing_peaks(
    page: Page, store: Store, run: Run, num_steps: int
) -> None:
    write(store, run, 1, 10_000)
    wait_for_last(page, run, 10_000)
    before = heap_mib(page)
    write(store, run, 10_001, num_steps)
    xs = wait_for_last(page, run, num_steps, 120)
    assert heap_mib(page) - before < 12
    assert len(xs) <= MOST_POINTS
    assert xs == sorted(xs)
    ys = plot(page, "loss", f"[...plot.data.find((it) => it.name === '{line(run, 'train')}').y]")
    known = dict(zip(xs, ys, strict=True))
    for peak in (1, 777, 12_345):
        assert known[peak / STEPS] == loss_at(peak)
    # What happens once an epoch is all there.
    assert points(page, run, "val") == list(range(1, num_steps // STEPS + 1))
    page.reload()
    expect(page.locator(".thaw-card")).to_be_visible(timeout=20_000)
    assert wait_for_last(page, run, num_steps, 120) == xs


# ---- stop


def test_stopping_shows_soon_and_can_be_asked_again_if_it_was_not_heard(
    page: Page, store: Store, run: Run
) -> None:
    stop = page.get_by_role("button", name=re.compile(f"^Stop {run.name}"))
    page.clock.install()
    page.clock.resume()
    page.evaluate(
        "() => { window.thawSent = WebSocket.prototype.send; WebSocket.prototype.send = () => {}; }"
    )
    stop.click()
    expect(stop).to_have_text("Stopping…")
    expect(stop).to_be_disabled()
    page.clock.fast_forward("00:15")
    expect(stop).to_be_enabled()
    assert store.run(run.id).status == "running"
    page.evaluate("() => { WebSocket.prototype.send = window.thawSent; }")
    stop.click()
    wait_for_status(page, "stopping")
    expect(stop).to_have_text("Stopping…")
    assert store.run(run.id).stop_requested

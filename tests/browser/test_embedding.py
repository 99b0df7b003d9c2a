"""The view Embedding: a point shows its picture, and what is selected on a map is on all."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from engine.runs.store import Run, Store
from tests.dashboard.made import add_pair, finish
from tests.dashboard.made_embedding import lay_out, pictures
from tests.serving import Dashboard, click, open_page

NUM = 24
SELECTED = """() => [...document.querySelectorAll(".thaw-map-plot")].map(
    (plot) => plot.data[0].selectedpoints?.length ?? 0)"""


@pytest.fixture
def pair(photos: Path) -> tuple[Run, Run]:
    """Two finished runs whose images are laid out."""
    store = Store()
    one, other = (finish(store, run) for run in add_pair(store))
    paths = pictures(photos, NUM)
    lay_out(one, paths, 15)
    lay_out(other, paths, 20)
    store.close()
    return one, other


def opened(
    browser: Browser, dashboard: Dashboard, pair: tuple[Run, Run], width: int = 1440
) -> Page:
    query = "&".join(f"run={run.id}" for run in pair)
    page = open_page(browser, f"{dashboard.url}/compare?view=Embedding&{query}", width=width)
    page.wait_for_function(
        f"""() => document.querySelectorAll(".thaw-map-plot .points path").length === {3 * NUM}""",
        timeout=60_000,
    )
    return page


def drag(page: Page, place: int) -> None:
    """Draws a lasso round the middle of a map."""
    plot = page.locator(".thaw-map-plot").nth(place)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    corners = [(-70, -80), (70, -80), (70, 70), (-70, 70), (-70, -78)]
    page.mouse.move(x + corners[0][0], y + corners[0][1])
    page.mouse.down()
    for right, down in corners[1:]:
        page.mouse.move(x + right, y + down, steps=8)
    page.mouse.up()


def test_a_point_shows_its_picture_and_its_place_on_every_map(
    browser: Browser, dashboard: Dashboard, pair: tuple[Run, Run]
) -> None:
    page = opened(browser, dashboard, pair)
    point = page.locator(".thaw-map-plot").last.locator(".points path").nth(NUM - 1)
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    # What comes of the scrolling hides the tip, and comes with the next frame.
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = page.locator(".thaw-map-tip")
    expect(tip).to_be_visible()
    page.wait_for_function(
        "() => document.querySelector('.thaw-map-tip img').naturalWidth === 112", timeout=20_000
    )
    expect(tip).to_contain_text("takes it for")
    expect(page.locator(".thaw-map-ring:visible")).to_have_count(3)
    page.mouse.move(2, 2)
    expect(tip).to_be_hidden()
    page.context.close()


def test_what_is_selected_on_one_map_is_selected_on_all(
    browser: Browser, dashboard: Dashboard, pair: tuple[Run, Run]
) -> None:
    page = opened(browser, dashboard, pair)
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    drag(page, 0)
    status = page.locator(".thaw-map-status")
    expect(status).to_have_text(re.compile(rf"\d+ of {NUM} images selected"), timeout=20_000)
    num = int(status.inner_text().split()[0])
    assert 0 < num < NUM
    assert page.evaluate(SELECTED) == [num, num, num]
    expect(page.get_by_text(f"{num} selected;")).to_be_visible(timeout=20_000)
    # What the page answers takes nothing back.
    assert page.evaluate(SELECTED) == [num, num, num]
    drag(page, 1)
    page.wait_for_function(
        """() => document.querySelectorAll(".thaw-map-plot")[0].layout.selections.length === 0"""
    )
    click(page.get_by_role("button", name="Select none"))
    expect(page.get_by_text("selected;")).to_have_count(0, timeout=20_000)
    assert page.evaluate(SELECTED) == [0, 0, 0]
    assert broken == []
    page.context.close()


def test_the_box_does_the_same_on_a_phone(
    browser: Browser, dashboard: Dashboard, pair: tuple[Run, Run]
) -> None:
    page = opened(browser, dashboard, pair, width=390)
    tops = page.evaluate(
        "() => [...document.querySelectorAll('.thaw-map')].map((it) => it.getBoundingClientRect())"
        ".map((box) => [box.top, box.right])"
    )
    assert tops[0][0] < tops[1][0] < tops[2][0]
    assert all(right <= 390 for _, right in tops)
    box = page.get_by_role("combobox", name="Select")
    click(box)
    box.fill("birds")
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => ({SELECTED})().every((num) => num === 8)", timeout=20_000)
    expect(page.locator(".thaw-map-status")).to_have_text(
        f"8 of {NUM} images selected, in every map."
    )
    expect(page.get_by_text("8 selected;")).to_be_visible(timeout=20_000)
    page.context.close()

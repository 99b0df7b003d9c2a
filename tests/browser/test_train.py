"""The Train page in a real browser: pictures follow sliders, the button stays in sight."""

import pytest
from playwright.sync_api import Browser, Page, expect

from engine.strategies import STRATEGIES
from tests.serving import Dashboard, click, open_page

# A slider's input is hidden in one pixel below its thumb, however far it would reach.
WIDEST = """() => Math.max(...[...document.querySelectorAll("[data-testid=stMainBlockContainer] *")]
    .filter((it) => !it.matches("input[type=range]"))
    .map((it) => it.getBoundingClientRect())
    .filter((box) => box.width && box.height).map((box) => box.right))"""


def test_the_picture_follows_the_slider(page: Page) -> None:
    for name in ("Frozen", "Full", "Partial"):
        click(page.get_by_role("button", name=name, exact=True))
    expect(page.get_by_role("button", name="Train partial")).to_be_visible()
    cold = page.locator(".thaw-stages .thaw-cold")
    expect(cold).to_have_count(7)
    slider = page.get_by_role("slider", name="Last stages that learn")
    slider.press("ArrowRight")
    expect(cold).to_have_count(6)
    expect(page.get_by_title("Block 6 (1,652,640 parameters): learns at 1e-3")).to_be_visible()
    slider.press("End")
    expect(cold).to_have_count(0)
    expect(page.get_by_text("3,381,256 of 3,381,256 parameters will learn")).to_be_visible()


def test_the_picture_has_colours_and_snowflakes(page: Page) -> None:
    """What the page does not let through, colours and masks, would not be missed by other tests."""
    colours = page.locator(".thaw-stages .thaw-warm").first.evaluate(
        "(it) => getComputedStyle(it).backgroundColor"
    )
    assert colours not in ("rgba(0, 0, 0, 0)", "")
    mask = page.locator(".thaw-stages .thaw-cold").first.evaluate(
        "(it) => getComputedStyle(it, '::before').maskImage"
    )
    assert "svg" in mask


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_button_stays_in_sight(
    browser: Browser, dashboard: Dashboard, width: int, height: int
) -> None:
    page = open_page(browser, dashboard.url, width, height)
    button = page.get_by_role("button", name="Train both")
    expect(button).to_be_in_viewport()
    page.get_by_text("Optimiser and learning rate over the run").scroll_into_view_if_needed()
    expect(button).to_be_in_viewport()
    page.context.close()


@pytest.mark.parametrize("width", [1440, 390])
def test_all_strategies_at_once_fit_the_screen(
    browser: Browser, dashboard: Dashboard, width: int
) -> None:
    page = open_page(browser, dashboard.url, width)
    for strategy in STRATEGIES.values():
        if strategy.name not in ("frozen", "full"):
            click(page.get_by_role("button", name=strategy.label, exact=True))
    click(page.get_by_text("Optimiser and learning rate over the run"))
    click(page.get_by_text("Regularisation", exact=True))
    expect(page.locator(".thaw-stages")).to_have_count(len(STRATEGIES), timeout=20_000)
    expect(page.get_by_role("button", name=f"Train all {len(STRATEGIES)}")).to_be_in_viewport()
    page.wait_for_function(f"(width) => ({WIDEST})() <= width + 1", arg=width)
    page.context.close()

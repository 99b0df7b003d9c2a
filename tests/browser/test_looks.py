"""Every page at both widths, in light and dark: fits the screen and asks nothing of the outside."""

import pytest
from playwright.sync_api import Browser, expect

from tests.serving import Dashboard, open_page

# A slider's input is hidden in one pixel below its thumb, however far it would reach.
FITS = """(width) => Math.max(...[...document.querySelectorAll(
    "[data-testid=stMainBlockContainer] *")]
    .filter((it) => !it.closest("[data-testid=stDataFrame]") && !it.matches("input[type=range]"))
    .map((it) => it.getBoundingClientRect())
    .filter((box) => box.width && box.height).map((box) => box.right)) <= width + 1"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize(
    "path", ["/", "/update", "/data", "/models", "/runs", "/live", "/compare", "/depth", "/search"]
)
def test_page_fits_and_stays_local(
    browser: Browser, dashboard: Dashboard, path: str, width: int, scheme: str
) -> None:
    """A wide table scrolls in its own frame; nothing else may be wider than the screen."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    foreign: list[str] = []
    broken: list[str] = []
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((dashboard.url, "data:", "blob:"))
            else foreign.append(request.url)
        ),
    )
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto(dashboard.url + path)
    expect(page.locator("h1")).to_be_visible(timeout=30_000)
    page.wait_for_load_state("networkidle") if path != "/live" else page.wait_for_timeout(1000)
    # A chart takes its width a moment after it is drawn, later on a busy machine.
    page.wait_for_function(FITS, arg=width, timeout=20_000)
    background = page.evaluate(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert background == ("rgb(16, 21, 29)" if scheme == "dark" else "rgb(255, 255, 255)")
    assert foreign == []
    assert broken == []
    context.close()


def test_live_charts_follow_a_change_of_theme(browser: Browser, dashboard: Dashboard) -> None:
    page = open_page(browser, f"{dashboard.url}/live")
    ink = "() => document.querySelector('.thaw-plot')?.layout?.font?.color"
    page.wait_for_function(f"() => ({ink})() === 'rgb(28, 36, 48)'")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"() => ({ink})() === 'rgb(232, 237, 244)'", timeout=10_000)
    page.context.close()

"""What draws charts is there before a person comes to the first chart, and is read once."""

from playwright.sync_api import Page, expect

from dashboard.preload import chart_script
from engine.runs.store import Store
from tests.dashboard.made import add_pair, finish
from tests.serving import Dashboard

READ = """(path) => performance.getEntriesByType("resource")
    .filter((one) => one.name.endsWith(path)).length"""


def test_the_script_of_charts_is_read_while_the_browser_is_idle(
    page: Page, dashboard: Dashboard
) -> None:
    store = Store()
    for run in add_pair(store):
        finish(store, run, (0.5, 0.7))
    store.close()
    path = chart_script()
    assert path is not None
    page.goto(f"{dashboard.url}/search")
    expect(page.get_by_role("heading", name="Search", level=1)).to_be_visible()
    page.wait_for_function(f"(path) => ({READ})(path) === 1", arg=path)
    assert page.locator(".js-plotly-plot").count() == 0
    page.get_by_role("link", name="Compare", exact=True).first.click()
    expect(page.locator(".js-plotly-plot .js-line").first).to_be_attached()
    assert page.evaluate(READ, path) == 1

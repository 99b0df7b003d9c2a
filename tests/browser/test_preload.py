"""What draws charts is there before a person comes to the first chart, and is read once."""

from playwright.sync_api import Page, expect

from dashboard.preload import chart_script
from engine.runs.store import Store
from tests.browser.test_live_stress import STEPS, ranges, wait_for_last, write, zoom
from tests.dashboard.made import add_pair, finish
from tests.pretend import pretend_run
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


def test_live_charts_stay_as_they_are_when_it_is_read(page: Page, dashboard: Dashboard) -> None:
    """It takes the place of the script that drew them."""
    store = Store()
    run = pretend_run(store, epochs=100, steps=STEPS)
    page.goto(f"{dashboard.url}/live?run={run.id}")
    page.wait_for_function("() => document.querySelectorAll('.thaw-plot .nsewdrag').length >= 4")
    path = chart_script()
    assert page.evaluate(READ, path) == 0
    page.evaluate("(path) => import(new URL(path, location.origin).href).then(() => true)", path)
    assert page.evaluate("() => window.Plotly !== window.thawPlotly")
    write(store, run, 1, STEPS)
    wait_for_last(page, run, STEPS)
    before = ranges(page, "loss")
    zoom(page, "loss")
    page.wait_for_function(
        "(high) => document.querySelector('[data-chart=loss]')._fullLayout.xaxis.range[1] < high",
        arg=before[0][1],
    )
    zoomed = ranges(page, "loss")
    write(store, run, STEPS + 1, 2 * STEPS, batch=1)
    wait_for_last(page, run, 2 * STEPS)
    assert ranges(page, "loss") == zoomed
    store.set_status(run.id, "finished")
    store.close()

"""The compare page while its runs go on."""

from playwright.sync_api import Browser, expect

from engine.runs.store import Store
from tests.pretend import pretend_run
from tests.serving import Dashboard, open_page


def test_the_page_is_drawn_anew_as_each_run_ends(browser: Browser, dashboard: Dashboard) -> None:
    store = Store()
    first, second = pretend_run(store, "Frozen"), pretend_run(store, "Full", strategy="full")
    page = open_page(browser, f"{dashboard.url}/compare?run={first.id}&run={second.id}")
    expect(page.get_by_text("These 2 runs go on")).to_be_visible()
    store.set_status(first.id, "finished")
    expect(page.get_by_text("1 of these 2 runs goes on")).to_be_visible()
    store.set_status(second.id, "failed", "The training loss became NaN.")
    expect(page.get_by_text("drawn anew as each run ends")).to_have_count(0)
    page.context.close()

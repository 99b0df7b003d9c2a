"""The instant head in a real browser: it follows a slider, and what is kept has its numbers."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from engine.runs.store import Store
from tests.browser.test_pair import choose_folder, set_slider_to_least
from tests.serving import click, wait_for_status


def test_a_head_follows_the_sliders_and_is_kept_with_its_numbers(page: Page, photos: Path) -> None:
    choose_folder(page, photos)
    set_slider_to_least(page, "Image size")
    head = page.locator(".st-key-train-head")
    click(head.get_by_text("Instant head"))
    expect(head.get_by_text(re.compile(r"Epoch \d+ of 10, trained in"))).to_be_visible(
        timeout=60_000
    )
    expect(head.locator("[data-testid=stPlotlyChart]").first).to_be_visible()
    page.get_by_role("slider", name="Epochs").first.press("ArrowRight")
    expect(head.get_by_text(re.compile(r"Epoch \d+ of 11, trained in"))).to_be_visible()
    shown = head.get_by_test_id("stMetricValue").inner_text()
    click(head.get_by_role("button", name="Keep as a run"))
    click(head.get_by_role("link", name=re.compile("Kept as run")))
    page.wait_for_url(re.compile(r"/live\?run=\w{8}"), timeout=20_000)
    wait_for_status(page, "finished", count=1)
    [kept] = [run for run in Store().all_runs(("finished",)) if run.id in page.url]
    assert f"{100 * kept.summary['best_val_accuracy']:.1f} %" == shown
    assert kept.summary["features_found"]

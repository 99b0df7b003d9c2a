"""Reports and charts as files: what is downloaded is whole, and draws with no network at all."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from dashboard.report.build import make_report, write_report
from engine.runs.store import Run, Store
from tests.dashboard.made import add_pair, finish
from tests.serving import Dashboard, click, open_page

DRAWN = """() => [...document.querySelectorAll(".plot")].every(
    (plot) => plot.dataset.drawn && plot.querySelector(".main-svg"))"""


@pytest.fixture
def runs() -> list[Run]:
    store = Store()
    pair = [finish(store, run, (0.5, 0.7)) for run in add_pair(store)]
    store.close()
    return pair


def downloaded(page: Page, chart: str, kind: str, folder: Path) -> Path:
    """Returns the file that a chart's button for a kind of file downloads."""
    plot = page.locator(chart).first
    plot.scroll_into_view_if_needed()
    plot.hover()
    with page.expect_download() as got:
        plot.locator(f'.modebar-btn[data-title$="{kind}"]').click()
    file = folder / got.value.suggested_filename
    got.value.save_as(file)
    return file


def require_images(png: Path, svg: Path) -> None:
    with Image.open(png) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300
        colours = picture.convert("RGB").getcolors(maxcolors=2**24)
        assert colours is not None
        assert len(colours) > 20
    root = ElementTree.fromstring(svg.read_bytes())
    assert root.tag.endswith("}svg")
    lines = root.iterfind(".//{http://www.w3.org/2000/svg}path")
    assert sum(1 for line in lines if line.get("class") == "js-line") >= 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_a_report_draws_from_its_file_with_no_network(
    browser: Browser, runs: list[Run], tmp_path: Path, width: int, scheme: str
) -> None:
    store = Store()
    file = tmp_path / "report.html"
    write_report(make_report(store, runs, "html", None), file)
    store.close()
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        offline=True,
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_function(DRAWN, timeout=60_000)
    assert page.locator(".plot").count() == 10
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = "() => getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == (
        "rgb(16, 21, 29)" if scheme == "dark" else "rgb(255, 255, 255)"
    )
    if scheme == "light" and width == 1440:
        png, svg = (downloaded(page, ".plot", kind, tmp_path) for kind in ("PNG", "SVG"))
        require_images(png, svg)
    assert said == []
    context.close()


def test_charts_and_tables_of_compare_are_downloaded_whole(
    browser: Browser, dashboard: Dashboard, runs: list[Run], tmp_path: Path
) -> None:
    ids = "&".join(f"run={run.id}" for run in runs)
    page = open_page(browser, f"{dashboard.url}/compare?{ids}")
    expect(page.locator(".stPlotlyChart .main-svg").first).to_be_visible(timeout=30_000)
    chart = ".stPlotlyChart .js-plotly-plot"
    png, svg = (downloaded(page, chart, kind, tmp_path) for kind in ("PNG", "SVG"))
    require_images(png, svg)
    stem = f"accuracy-against-epochs-frozen-{runs[0].id[:4]}-full-{runs[1].id[:4]}"
    assert (png.name, svg.name) == (f"{stem}.png", f"{stem}.svg")
    with page.expect_download() as got:
        click(page.get_by_role("button", name="Numbers as CSV").first)
    text = Path(got.value.path()).read_text()
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == [run.id for run in runs]
    page.context.close()

"""Text from people that would be HTML, a script, a link or a remote picture, on every page."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from engine.runs.store import Run, Store
from tests.attacks.raw import own_origin
from tests.conftest import CLIPART
from tests.dashboard.made import add_run, finish, start, step_event
from tests.serving import Dashboard, chromium, chromium_path, open_page
from tests.sweeps import sweep

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="Chromium is not installed"),
]

ELSEWHERE = "http://leak.invalid"
HTML = "<img src=x onerror=window.hacked=1>"
SCRIPT = "<script>window.hacked=1</script><svg onload=window.hacked=1>"
LINK = "<a href='javascript:window.hacked=1'>a</a>"
MARKDOWN = f"![p]({ELSEWHERE}/p.png)[q](javascript:window.hacked=1)[r]({ELSEWHERE}/r)"
ALL = f"{HTML}{MARKDOWN}{LINK}{SCRIPT}"
# A file's name holds no slash.
NAMES = [HTML, "![p](leak.png)[q](javascript:window.hacked=1)", "<b>$x^2$ :red[c]</b>"]
PAGES = ["", "data", "models", "live", "runs", "compare", "depth", "search"]
# A link whose text is its target is one that Streamlit makes of a bare address: it hides nothing.
FOUND = """() => [...document.querySelectorAll("*")].filter((it) =>
    !/^https?:/.test(it.textContent) || decodeURI(it.href || "") !== it.textContent).filter((it) =>
    /^(javascript|data:text)/i.test(it.getAttribute("href") || "") ||
    /leak/.test((it.getAttribute("href") || "") + (it.getAttribute("src") || "")) ||
    it.getAttribute("src") === "x" || it.hasAttribute("onerror") || it.hasAttribute("onload") ||
    (it.tagName === "SCRIPT" && /hacked/.test(it.textContent))).map((it) => it.outerHTML)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def runs(local: Dashboard) -> list[Run]:
    """Two runs, one of which goes on, with hostile names, notes, tags and classes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_HOME", str(local.home))
        patch.delenv("THAW_DATABASE_URL", raising=False)
        store = Store()
        done = finish(store, add_run(store, "frozen", ALL), classes=NAMES)
        going = start(store, add_run(store, "full", ALL))
        store.append(going.id, [step_event(1, step) for step in range(1, 6)])
        for one in (done, going):
            store.mark(one.id, note=ALL, tags=[HTML, MARKDOWN])
        found = [store.run(done.id), store.run(going.id)]
        store.close()
    return found


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose classes and pictures have hostile names, with a picture that is none."""
    folder = tmp_path_factory.mktemp("data") / HTML
    for name, source in zip(NAMES, ("birds", "fruit", "vehicles"), strict=True):
        (folder / name).mkdir(parents=True)
        for number, file in enumerate(sorted((CLIPART / "train" / source).iterdir())[:4]):
            shutil.copy(file, folder / name / f"{number}{HTML}{file.suffix}")
        (folder / name / f"{HTML}.jpg").write_bytes(b"no picture")
    return folder


def look(browser: Browser, address: str) -> tuple[Page, list[str]]:
    """Opens a page without the policy that stops scripts; returns what it asks for elsewhere."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    page = context.new_page()
    foreign: list[str] = []
    own = address.partition(
        "/",
    )[0]
    own = "/".join(address.split("/")[:3])
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((own, "data:", "blob:")) else foreign.append(request.url)
        ),
    )
    page.on("dialog", lambda dialog: foreign.append(dialog.message))
    page.goto(address)
    page.wait_for_selector("h1", timeout=60_000)
    return page, foreign


def settle(page: Page) -> None:
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stStatusWidget]')", timeout=60_000
    )
    page.wait_for_timeout(2500)


def require_harmless(page: Page, foreign: list[str]) -> None:
    assert page.evaluate(FOUND) == []
    assert page.evaluate("window.hacked") is None
    assert foreign == []


@pytest.mark.parametrize("name", sweep(PAGES, ("live", "compare", "runs").__contains__))
def test_what_people_call_their_runs_stays_text(
    browser: Browser, local: Dashboard, runs: list[Run], name: str
) -> None:
    query = "&".join(f"run={one.id}" for one in runs)
    page, foreign = look(browser, f"{local.url}/{name}?{query}")
    settle(page)
    if name in {"live", "compare"}:
        expect(page.locator("body")).to_contain_text("onerror")
    for plot in page.locator(".js-plotly-plot:visible, .thaw-plot:visible").all():
        plot.scroll_into_view_if_needed()
        plot.hover()
        page.wait_for_timeout(200)
    require_harmless(page, foreign)
    page.context.close()


@pytest.mark.parametrize("key", sweep(["run", "page", "search", "x"], ("run", "x").__contains__))
def test_what_an_address_says_stays_text(browser: Browser, local: Dashboard, key: str) -> None:
    for name in ("compare", "live", "search"):
        page, foreign = look(browser, f"{local.url}/{name}?{key}={ALL.replace('&', '%26')}")
        settle(page)
        require_harmless(page, foreign)
        page.context.close()


@pytest.mark.parametrize("name", sweep(["", "data"], lambda name: name == "data"))
def test_what_people_call_their_pictures_stays_text(
    browser: Browser, local: Dashboard, photos: Path, name: str
) -> None:
    page, foreign = look(browser, f"{local.url}/{name}")
    page.get_by_text("Folder or table", exact=True).first.click()
    field = page.get_by_label("Folder or table").last
    for text in (f"/{ALL}", str(photos)):
        field.fill(text)
        field.press("Enter")
        expect(page.locator("body")).to_contain_text("onerror")
        settle(page)
        require_harmless(page, foreign)
    page.wait_for_selector("[data-testid=stImage] img", timeout=60_000)
    require_harmless(page, foreign)
    page.context.close()


def test_a_pages_policy_stops_what_would_get_through(browser: Browser, local: Dashboard) -> None:
    page = open_page(browser, local.url)
    page.evaluate(
        f"""() => {{
            document.body.insertAdjacentHTML("beforeend", `{HTML}<img src="{ELSEWHERE}/p.png">`);
            const script = document.createElement("script");
            script.textContent = "window.hacked = 2";
            document.body.append(script);
        }}"""
    )
    page.wait_for_timeout(1000)
    assert page.evaluate("window.hacked") is None
    asked = page.evaluate(
        f"() => fetch('{ELSEWHERE}').then(() => 'sent', (error) => error.message)"
    )
    assert asked == "Failed to fetch"
    page.context.close()


def test_a_link_from_another_site_opens_for_who_is_in(
    browser: Browser, closed: Dashboard, token: str
) -> None:
    """The cookie is not sent along with the link, so the page asks for itself once more."""
    page = browser.new_context().new_page()
    page.goto(f"{closed.url}/?token={token}")
    page.wait_for_selector("h1:has-text('How should')", timeout=60_000)
    assert "token" not in page.url
    elsewhere = closed.url.replace("127.0.0.1", "localhost")
    page.goto(f"{elsewhere}/thaw/plotly.js")
    page.evaluate(f"() => {{ location.href = '{closed.url}/compare' }}")
    page.wait_for_selector("h1:has-text('Compare')", timeout=60_000)
    page.context.close()


def test_live_streams_behind_the_token(browser: Browser, closed: Dashboard, token: str) -> None:
    page = browser.new_context().new_page()
    with page.expect_response(lambda answer: "/thaw/events" in answer.url) as found:
        page.goto(f"{closed.url}/live?token={token}")
        page.wait_for_selector("h1", timeout=60_000)
    assert found.value.status == 200
    assert found.value.headers["content-type"].startswith("text/event-stream")
    assert own_origin(closed)["Origin"] == closed.url
    page.context.close()

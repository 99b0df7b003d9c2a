"""Many people on one server: each sees their own runs, exactly and nothing else."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from engine.runs.store import NewEvent, Run, Store
from tests.listening import Session, in_own_loop
from tests.pretend import pretend_run
from tests.serving import Dashboard, open_page, wait_for_status

STEPS = 20
NUM_RUNS = 5
NUM_STEPS = 120
# Places in the list of runs: what each of six people looks at.
LOOKED_AT = [(0,), (1,), (0, 1), (2,), (4, 3), (4,)]


@pytest.fixture
def store(thaw_home: object) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def runs(store: Store) -> Iterator[list[Run]]:
    pretended = [pretend_run(store, f"Run {number}", steps=STEPS) for number in range(NUM_RUNS)]
    yield pretended
    for one in pretended:
        store.set_status(one.id, "finished", only_from=["running", "stopping"])


def loss(number: int, step: int) -> float:
    """A value that tells of which run and of which step it is."""
    return number + 1 + step / 1000


def step_event(number: int, step: int) -> NewEvent:
    values = {"train/loss": loss(number, step), "images_per_second": 100.0, "lr/head": 1e-3}
    return (time.time(), "step", (step - 1) // STEPS + 1, step, values)


def write_all(runs: list[Run], first: int, last: int) -> list[threading.Thread]:
    """Writes steps of all runs at once, each from a thread of its own as processes would."""

    def write(number: int, run: Run) -> None:
        store = Store()
        for step in range(first, last + 1):
            store.append(run.id, [step_event(number, step)])
        store.close()

    writers = [
        threading.Thread(target=write, args=(number, run)) for number, run in enumerate(runs)
    ]
    for writer in writers:
        writer.start()
    return writers


def address(dashboard: Dashboard, runs: list[Run], chosen: tuple[int, ...]) -> str:
    query = "&".join(f"run={runs[number].id}" for number in chosen)
    return f"{dashboard.url}/live?{query}"


def losses(page: Page) -> dict[str, list[float]]:
    """Returns the values of every line on the chart of the loss."""
    found: dict[str, list[float]] = page.evaluate(
        """() => {
            const plot = document.querySelector("[data-chart=loss]");
            plot.dispatchEvent(new Event("pointerenter"));
            return Object.fromEntries((plot.data || []).map(({ name, y }) => [name, [...y]]));
        }"""
    )
    return found


def shown_runs(page: Page) -> list[str]:
    cards: list[str] = page.locator(".thaw-card").evaluate_all(
        "(cards) => cards.map((card) => card.dataset.run)"
    )
    return cards


def test_each_page_shows_its_own_runs_and_numbers(
    browser: Browser, dashboard: Dashboard, runs: list[Run]
) -> None:
    pages = [open_page(browser, address(dashboard, runs, chosen)) for chosen in LOOKED_AT]
    for writer in write_all(runs, 1, NUM_STEPS):
        writer.join()
    for page, chosen in zip(pages, LOOKED_AT, strict=True):
        expected = {
            f"{runs[number].name} · {runs[number].id[:4]}, train": [
                loss(number, step) for step in range(1, NUM_STEPS + 1)
            ]
            for number in chosen
        }
        deadline = time.monotonic() + 30
        while losses(page) != expected and time.monotonic() < deadline:
            page.wait_for_timeout(200)
        assert losses(page) == expected
        assert shown_runs(page) == [runs[number].id for number in chosen]
        page.context.close()


def test_what_one_person_does_to_their_page_is_nobody_elses(
    browser: Browser, dashboard: Dashboard, runs: list[Run]
) -> None:
    for writer in write_all(runs, 1, 5):
        writer.join()
    mine, other, third = (
        open_page(browser, address(dashboard, runs, chosen)) for chosen in ((0, 1), (0, 1), (1,))
    )
    for page in (mine, other, third):
        wait_for_status(page, "running")
    mine.locator(".thaw-legend").get_by_role("button", name="Run 0").click()
    mine.locator(f'[data-run="{runs[0].id}"] .thaw-stop:not(.thaw-resume)').click()
    wait_for_status(mine, "stopping")
    wait_for_status(other, "stopping")
    hidden = mine.locator(".thaw-legend [aria-pressed=false]")
    expect(hidden).to_have_text([f"Run 0 · {runs[0].id[:4]}"])
    expect(other.locator(".thaw-legend [aria-pressed=false]")).to_have_count(0)
    expect(third.locator('.thaw-status[data-status="running"]')).to_have_count(1)
    for page in (mine, other, third):
        page.context.close()


def test_twenty_tabs_that_run_their_scripts_at_once_mix_nothing_up(
    dashboard: Dashboard, runs: list[Run]
) -> None:
    """Each of them again and again, while other runs come and go and the runs write."""
    asked = [LOOKED_AT[number % len(LOOKED_AT)] for number in range(20)]
    ids = [[runs[number].id for number in chosen] for chosen in asked]

    async def look() -> list[list[object]]:
        queries = ["&".join(f"run={run}" for run in chosen) for chosen in ids]
        tabs = [Session(dashboard, "live", query) for query in queries]
        await asyncio.gather(*(tab.open() for tab in tabs))
        rounds: list[list[object]] = []
        for _ in range(4):
            await asyncio.gather(*(tab.rerun() for tab in tabs))
            rounds.append([tab.live for tab in tabs])
        await asyncio.gather(*(tab.close() for tab in tabs))
        return rounds

    writers = write_all(runs, 1, 40)
    expected = [{"runs": chosen, "follow": False} for chosen in ids]
    for found in in_own_loop(look()):
        assert found == expected
    for writer in writers:
        writer.join()

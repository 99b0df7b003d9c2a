"""Steering on the live page: the bar of stages moves, a click reaches the run, charts show acts."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from engine.models.catalogue import backbone_record
from engine.runs.store import NewEvent, Run, Store
from engine.spec import Act
from engine.training.plan import rate_plan
from tests.pretend import act_event, phase_event, plan_event, pretend_run
from tests.serving import Dashboard, open_page

STEPS = 20
STAGES = backbone_record("efficientnet_lite0").stage_names
CHARTS = ("loss", "accuracy", "lr", "speed")
FREEZE_TOP = Act(kind="freeze", target="top")


@pytest.fixture
def store(thaw_home: object) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def run(store: Store) -> Iterator[Run]:
    """A run of a strategy that frees all stages after half of its epochs; it goes on."""
    pretended = pretend_run(store, "Linear probe, then all", steps=STEPS, strategy="lp_ft")
    yield pretended
    store.set_status(pretended.id, "finished", only_from=["running"])


@pytest.fixture
def page(browser: Browser, dashboard: Dashboard, run: Run) -> Iterator[Page]:
    opened = open_page(browser, f"{dashboard.url}/live?run={run.id}")
    broken: list[str] = []
    opened.on("pageerror", lambda error: broken.append(str(error)))
    expect(segment(opened, "head")).to_be_visible(timeout=20_000)
    yield opened
    opened.context.close()
    assert broken == []


def segment(page: Page, stage: str) -> Locator:
    return page.locator(f'.thaw-stage[data-stage="{stage}"]')


def colour(page: Page, stage: str) -> str:
    """The colour of a segment, once it has stopped changing."""
    found: str = segment(page, stage).evaluate(
        """async (it) => {
            await new Promise((done) => setTimeout(done, 600));
            await Promise.all(it.getAnimations().map((one) => one.finished.catch(() => {})));
            return getComputedStyle(it).backgroundColor;
        }"""
    )
    return found


def step_event(step: int, **rates: float) -> NewEvent:
    values = {"train/loss": 1 / step, "images_per_second": 100.0}
    told = {f"lr/{name}": rate for name, rate in rates.items()}
    return (time.time(), "step", (step - 1) // STEPS + 1, step, {**values, **told})


def traces(page: Page, chart: str) -> dict[str, dict[str, Any]]:
    """The traces of a chart, by what their names say beside the run's; in order."""
    found: list[dict[str, Any]] = page.evaluate(
        """(chart) => {
            const plot = document.querySelector(`[data-chart="${chart}"]`);
            plot.dispatchEvent(new Event("pointerenter"));
            return (plot.data || []).map(({ name, x, y, text, line, yaxis }) =>
                ({ name, x: [...x], y: [...y], text: text && [...text], line, yaxis }));
        }""",
        chart,
    )
    return {trace["name"].rpartition(", ")[2]: trace for trace in found}


def wait_for_trace(page: Page, chart: str, name: str) -> dict[str, Any]:
    page.locator(f'[data-chart="{chart}"]').scroll_into_view_if_needed()
    deadline = time.monotonic() + 20
    while name not in (shown := traces(page, chart)):
        assert time.monotonic() < deadline, (chart, list(shown))
        page.wait_for_timeout(100)
    return shown[name]


def wait_for_acts(store: Store, run: Run, number: int) -> list[Act]:
    deadline = time.monotonic() + 20
    while len(acts := store.acts(run.id)) < number and time.monotonic() < deadline:
        time.sleep(0.05)
    return [act for _, act in acts]


def all_learn(run: Run, step: int = 0, rate: float = 1e-3) -> NewEvent:
    return phase_event(run, step // STEPS + 1, step, dict.fromkeys(STAGES, rate))


# ---- the bar


def test_the_bar_shows_every_stage_and_what_it_does(page: Page, store: Store, run: Run) -> None:
    labels = page.locator(".thaw-stage .thaw-stage-name").all_inner_texts()
    expected = [stage.label for stage in backbone_record("efficientnet_lite0").stages]
    assert labels == [*expected, "Head"]
    assert segment(page, "stem").get_attribute("title") == "Stem\n928 parameters\nnot started"
    store.append(run.id, [plan_event(run, STEPS), phase_event(run, 1, 0, {"top": 3e-4})])
    expect(segment(page, "stem")).to_contain_text("frozen")
    expect(segment(page, "top")).to_contain_text("3e-4")
    expect(segment(page, "head")).to_contain_text("1e-3")
    assert segment(page, "stem").get_attribute("title") == "Stem\n928 parameters\nfrozen"
    title = segment(page, "top").get_attribute("title")
    assert title == "Top layers\n412,160 parameters\nlearning rate 3e-4, before its schedule"
    assert "3,843 parameters" in (segment(page, "head").get_attribute("title") or "")


def test_the_bar_changes_with_the_epoch(page: Page, store: Store, run: Run) -> None:
    store.append(run.id, [phase_event(run, 1, 0, {})])
    expect(segment(page, "block7")).to_have_attribute("data-state", "frozen")
    icy = colour(page, "block7")
    assert icy == colour(page, "stem") != colour(page, "head")
    store.append(run.id, [phase_event(run, 2, STEPS, {"block7": 1e-5})])
    expect(segment(page, "block7")).to_have_attribute("data-state", "learning")
    barely_warm = colour(page, "block7")
    store.append(run.id, [phase_event(run, 3, 2 * STEPS, {"block7": 1e-3})])
    expect(segment(page, "block7")).to_contain_text("1e-3")
    warm = colour(page, "block7")
    assert len({icy, barely_warm, warm}) == 3
    assert colour(page, "stem") == icy
    store.append(run.id, [phase_event(run, 4, 3 * STEPS, {})])
    expect(segment(page, "block7")).to_have_attribute("data-state", "frozen")
    assert colour(page, "block7") == icy


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_bar_and_menu_fit_the_screen(
    browser: Browser, dashboard: Dashboard, store: Store, run: Run, width: int, scheme: str
) -> None:
    store.append(run.id, [all_learn(run)])
    page = open_page(browser, f"{dashboard.url}/live?run={run.id}", width, 844, scheme)
    for stage in ("stem", "block4", "head"):
        expect(segment(page, stage)).to_be_enabled(timeout=20_000)
        segment(page, stage).click()
        menu = page.get_by_role("menu")
        expect(menu).to_be_visible()
        for box in (menu.bounding_box(), segment(page, stage).bounding_box()):
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
        page.keyboard.press("Escape")
        expect(menu).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


# ---- a click reaches the run


def test_a_click_asks_the_run_and_the_event_says_that_it_was_done(
    page: Page, store: Store, run: Run
) -> None:
    store.append(run.id, [plan_event(run, STEPS), all_learn(run), step_event(1, head=1e-3)])
    top = segment(page, "top")
    expect(top).to_contain_text("1e-3")
    top.click()
    page.get_by_role("menuitem", name="Freeze: Top layers").click()
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(top).to_contain_text("asked…")
    assert wait_for_acts(store, run, 1) == [FREEZE_TOP]
    expect(top).to_contain_text("asked…")
    rates = dict.fromkeys(STAGES[:-1], 1e-3)
    store.append(run.id, [act_event(3, 46, FREEZE_TOP), phase_event(run, 3, 45, rates)])
    expect(top).to_contain_text("frozen")
    expect(page.locator(".thaw-act:not(.thaw-befell)")).to_have_text("epoch 3: top frozen")
    for chart in CHARTS:
        mark = wait_for_trace(page, chart, "steered")
        assert mark["line"]["color"] == wait_for_trace(page, "loss", "train")["line"]["color"]
        assert mark["line"]["dash"] == "dot"
        assert {x for x, y in zip(mark["x"], mark["y"], strict=True) if y is not None} == {2.3}
        assert (mark["y"][0], mark["y"][-2], mark["y"][-1]) == (0, 1, None)
        assert set(mark["text"]) == {"epoch 3: top frozen"}


def test_rates_of_head_stage_and_backbone(page: Page, store: Store, run: Run) -> None:
    store.append(run.id, [phase_event(run, 1, 0, {"top": 1e-3})])
    expect(segment(page, "top")).to_contain_text("1e-3")
    chosen = [
        ("head", "Learning rate of Head times 0.5", "head", 0.5),
        ("top", "Learning rate of Top layers times 2", "top", 2.0),
        ("block3", "Learning rate of whole backbone times 0.1", "backbone", 0.1),
    ]
    for index, (stage, item, target, factor) in enumerate(chosen):
        segment(page, stage).click()
        page.get_by_role("menuitem", name=item).click()
        acts = wait_for_acts(store, run, index + 1)
        assert acts[index:] == [Act(kind="lr", target=target, factor=factor)]
    # What is asked of the backbone concerns what learns of it.
    expect(segment(page, "top")).to_contain_text("asked…")
    expect(segment(page, "block3")).to_contain_text("frozen")


def test_a_frozen_stage_can_only_be_let_learn(page: Page, store: Store, run: Run) -> None:
    """What will learn is not known before the first epoch: then it can be frozen as well."""
    segment(page, "block7").click()
    assert page.get_by_role("menuitem").all_inner_texts() == ["Freeze", "Let learn"]
    page.keyboard.press("Escape")
    store.append(run.id, [phase_event(run, 1, 0, {})])
    expect(segment(page, "block7")).to_contain_text("frozen")
    segment(page, "block7").click()
    assert page.get_by_role("menuitem").all_inner_texts() == ["Let learn"]
    page.get_by_role("menuitem").click()
    assert wait_for_acts(store, run, 1) == [Act(kind="unfreeze", target="block7")]


def test_acts_in_quick_succession_all_arrive_once(page: Page, store: Store, run: Run) -> None:
    store.append(run.id, [all_learn(run)])
    expect(segment(page, "stem")).to_contain_text("1e-3")
    page.evaluate(
        """() => ["stem", "block1", "block2", "block3"].forEach((stage) => {
            document.querySelector(`.thaw-stage[data-stage="${stage}"]`).click();
            document.querySelector("[role=menuitem]").click();
        })"""
    )
    wanted = [Act(kind="freeze", target=name) for name in STAGES[:4]]
    assert wait_for_acts(store, run, 4) == wanted
    page.wait_for_timeout(1000)
    assert [act for _, act in store.acts(run.id)] == wanted


def test_the_menu_from_the_keyboard(page: Page, store: Store, run: Run) -> None:
    store.append(run.id, [all_learn(run)])
    head = segment(page, "head")
    expect(head).to_have_attribute("aria-expanded", "false")
    head.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menu", name="Steer Head")).to_be_visible()
    expect(head).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("menuitem", name="times 0.1")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(head).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Learning rate of Head times 2")).to_be_focused()
    page.keyboard.press("Enter")
    assert wait_for_acts(store, run, 1) == [Act(kind="lr", target="head", factor=2.0)]
    expect(head).to_be_focused()


def test_after_the_end_the_bar_stays_and_cannot_be_opened(
    page: Page, store: Store, run: Run
) -> None:
    store.append(run.id, [all_learn(run)])
    expect(segment(page, "top")).to_contain_text("1e-3")
    segment(page, "top").click()
    page.get_by_role("menuitem", name="Freeze: Top layers").click()
    segment(page, "stem").click()
    expect(page.get_by_role("menu")).to_be_visible()
    store.set_status(run.id, "finished")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(segment(page, "top")).to_be_disabled()
    expect(segment(page, "top")).to_contain_text("1e-3")
    expect(segment(page, "stem")).to_have_attribute("data-state", "learning")
    assert segment(page, "stem").get_attribute("aria-haspopup") is None


# ---- rates on the chart


def test_the_plan_lies_behind_the_rates_as_they_are(page: Page, store: Store, run: Run) -> None:
    steps = [step_event(step, head=5e-4) for step in range(1, 6)]
    store.append(run.id, [plan_event(run, STEPS), *steps])
    curve = rate_plan(run.spec, STAGES, STEPS).curve()
    wait_for_trace(page, "lr", "head")
    shown = traces(page, "lr")
    assert list(shown) == ["planned head", "planned backbone", "head"]
    for name, rates in (("planned head", curve.head), ("planned backbone", curve.backbone)):
        assert shown[name]["x"] == pytest.approx(curve.epochs)
        assert shown[name]["y"] == pytest.approx(rates)
        assert shown[name]["line"]["dash"] == "dot"
        assert shown[name]["line"]["width"] < shown["head"]["line"]["width"]
    assert None in curve.backbone
    low, high = page.evaluate("document.querySelector('[data-chart=lr]').layout.xaxis.range")
    assert low == 0
    assert high >= run.spec.training.epochs


def test_a_rate_that_comes_and_goes_has_gaps_and_no_zeros(
    page: Page, store: Store, run: Run
) -> None:
    with_backbone = [step in {3, 4, 8, 9} for step in range(1, 11)]
    store.append(
        run.id,
        [
            step_event(step, head=1e-3, **({"backbone": 1e-4} if known else {}))
            for step, known in enumerate(with_backbone, start=1)
        ],
    )
    wait_for_trace(page, "lr", "backbone")
    shown = traces(page, "lr")["backbone"]
    assert shown["x"] == [step / STEPS for step in (3, 4, 5, 8, 9, 10)]
    assert shown["y"] == [1e-4, 1e-4, None, 1e-4, 1e-4, None]


def test_acts_of_a_run_that_has_ended_are_on_its_charts(page: Page, store: Store, run: Run) -> None:
    acts = [act_event(1, 6, FREEZE_TOP), act_event(2, 31, Act(kind="unfreeze", target="top"))]
    steps = [step_event(step, head=1e-3) for step in range(1, 41)]
    store.append(run.id, [plan_event(run, STEPS), *steps[:5], acts[0], *steps[5:30], acts[1]])
    store.set_status(run.id, "finished")
    page.reload()
    for chart in CHARTS:
        mark = wait_for_trace(page, chart, "steered")
        assert set(mark["x"]) == {6 / STEPS, 31 / STEPS}
    expect(page.locator(".thaw-act:not(.thaw-befell)")).to_have_text("epoch 2: top set free")
    title = page.locator(".thaw-act:not(.thaw-befell)").get_attribute("title")
    assert title == "epoch 1: top frozen\nepoch 2: top set free"

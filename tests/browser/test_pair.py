"""The main job as a newcomer does it: choose a folder, train both, watch, compare."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from engine.runs.store import Store
from tests.serving import Dashboard, click, drawn_points, wait_for_status


def choose_folder(page: Page, folder: Path) -> None:
    click(page.get_by_role("radio", name="Folder or table"))
    box = page.get_by_role("textbox", name="Folder or table").first
    box.fill(str(folder))
    box.press("Enter")
    expect(page.get_by_text("2 classes")).to_be_visible(timeout=20_000)


def set_slider_to_least(page: Page, name: str) -> None:
    slider = page.get_by_role("slider", name=name)
    slider.focus()
    slider.press("Home")


def test_a_pair_from_folder_to_comparison(page: Page, dashboard: Dashboard, photos: Path) -> None:
    choose_folder(page, photos)
    set_slider_to_least(page, "Image size")
    expect(page.get_by_text("2,562 of 3,373,570 parameters will learn")).to_be_visible()
    click(page.get_by_role("button", name="Train both"))
    page.wait_for_url(re.compile(r"/live\?run=\w{16}&run=\w{16}"), timeout=20_000)
    wait_for_status(page, "finished", count=2)

    runs = Store().all_runs(("finished",))[:2]
    frozen, full = sorted(runs, key=lambda run: run.spec.strategy.name)
    assert frozen.group_id == full.group_id
    differing = {
        name for name, value in frozen.spec.flat().items() if full.spec.flat()[name] != value
    }
    assert differing == {"strategy.name", "optimiser.lr"}
    assert frozen.summary["fingerprint"] == full.summary["fingerprint"]
    points = drawn_points(page)
    for run in runs:
        label = f"{run.name} · {run.id[:4]}"
        assert points[f"accuracy: {label}, val"] == list(range(1, 11))
        assert points[f"loss: {label}, val"] == list(range(1, 11))
        steps = [event for event in Store().events(run.id) if event.kind == "step"]
        assert len(points[f"loss: {label}, train"]) == len(steps) == 10
    assert f"lr: {full.name} · {full.id[:4]}, backbone" in points
    assert f"lr: {frozen.name} · {frozen.id[:4]}, backbone" not in points

    click(page.get_by_role("button", name="Compare these"))
    page.wait_for_url(re.compile(r"/compare\?run="), timeout=20_000)
    expect(page.get_by_text("2 of 73 settings differ")).to_be_visible(timeout=20_000)
    expect(page.locator("[data-testid=stPlotlyChart]")).to_have_count(4, timeout=20_000)
    verdict = re.compile("is better than|cannot be told apart")
    expect(page.get_by_text(verdict).first).to_be_visible()


def test_keyboard_alone_starts_a_run(page: Page, photos: Path) -> None:
    choose_folder(page, photos)
    set_slider_to_least(page, "Image size")
    set_slider_to_least(page, "Epochs")
    page.get_by_role("button", name="Full", exact=True).focus()
    page.keyboard.press("Space")
    button = page.get_by_role("button", name="Train frozen")
    expect(button).to_be_visible()
    page.get_by_role("slider", name="Dropout").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if button.evaluate("(it) => it === document.activeElement"):
            break
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/live\?run="), timeout=20_000)
    wait_for_status(page, "finished")


def test_bad_folders_are_told_in_a_sentence(page: Page, tmp_path: Path) -> None:
    click(page.get_by_role("radio", name="Folder or table"))
    box = page.get_by_role("textbox", name="Folder or table").first
    (tmp_path / "only-one" / "cats").mkdir(parents=True)
    for folder, sentence in {
        tmp_path / "nowhere": "There is no folder",
        tmp_path / "only-one": "at least two folders",
    }.items():
        box.fill(str(folder))
        box.press("Enter")
        expect(page.get_by_text(sentence)).to_be_visible(timeout=20_000)
        expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    expect(page.get_by_text("Traceback")).to_have_count(0)


def test_from_the_catalogue_to_a_run_from_random_weights(
    page: Page, dashboard: Dashboard, photos: Path
) -> None:
    """A recipe fills the controls, another backbone is chosen, and the charts say `random`."""
    choose_folder(page, photos)
    click(page.get_by_text("Start from a recipe"))
    click(page.get_by_role("button", name="Feature extraction: MobileNetV2"))
    expect(page.get_by_text("2.2 M parameters in")).to_be_visible()
    expect(page.get_by_role("button", name="Train frozen")).to_be_visible()
    box = page.get_by_role("combobox", name="Backbone")
    click(box)
    box.fill("squeezenet1_1")
    click(page.get_by_role("option", name=re.compile("squeezenet1_1")).first)
    expect(page.get_by_text("0.7 M parameters in")).to_be_visible()
    click(page.get_by_role("radio", name="Random"))
    expect(page.get_by_text("Nothing was learnt before")).to_be_visible()
    set_slider_to_least(page, "Image size")
    set_slider_to_least(page, "Epochs")
    click(page.get_by_role("button", name="Train frozen"))
    page.wait_for_url(re.compile(r"/live\?run="), timeout=20_000)
    wait_for_status(page, "finished")
    [run] = [one for one in Store().all_runs() if one.spec.model.weights == "random"]
    assert run.spec.model.backbone == "torchvision/squeezenet1_1.IMAGENET1K_V1"
    assert run.spec.model.head == "mlp"
    label = f"{run.name} · {run.id[:4]} · random weights"
    expect(page.locator(".thaw-name")).to_have_text(label)
    assert f"accuracy: {label}, val" in drawn_points(page)
    page.goto(f"{dashboard.url}/compare?run={run.id}")
    expect(page.get_by_text(label).first).to_be_visible(timeout=20_000)

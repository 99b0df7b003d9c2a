"""The live component's JavaScript, as far as it can be judged without a browser."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import dashboard.live
from dashboard.live import SCRIPTS, STYLES, sources

FOLDER = Path(dashboard.live.__file__).parent
SCRIPT = sources(SCRIPTS)
STYLE = sources(STYLES)
# What would make markup or code of a text.
FORBIDDEN = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "createContextualFragment",
    "document.write",
    "eval(",
    "new Function",
    "DOMParser",
    "srcdoc",
)


def test_every_file_of_the_component_is_part_of_it() -> None:
    assert {file.name for file in FOLDER.glob("*.js")} == set(SCRIPTS)
    assert {file.name for file in FOLDER.glob("*.css")} == set(STYLES)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_text_from_people_never_becomes_markup(name: str) -> None:
    assert name not in SCRIPT


def test_nothing_is_loaded_from_outside() -> None:
    """The name of the SVG namespace looks like an address, but nothing is fetched from it."""
    for text in (SCRIPT.replace('"http://www.w3.org/2000/svg"', ""), STYLE):
        assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text)
        assert "@import" not in text
        assert "url(" not in text


def charts() -> list[str]:
    """Returns the source of each chart's record."""
    [block] = re.findall(r"const CHARTS = \[\n(.*?)\n\];", SCRIPT, flags=re.DOTALL)
    return [line.strip() for line in block.splitlines()]


def test_there_are_four_charts_and_one_for_updates() -> None:
    keys = [re.findall(r'\bkey: "(\w+)"', chart) for chart in charts()]
    assert keys == [["loss"], ["accuracy"], ["update"], ["lr"], ["speed"]]
    [of_updates] = [chart for chart in charts() if "onlyUpdates: true" in chart]
    assert 'key: "update"' in of_updates


@pytest.mark.parametrize("chart", charts(), ids=lambda chart: re.findall(r'"(\w+)"', chart)[0])
def test_every_chart_says_what_it_shows_and_in_which_unit(chart: str) -> None:
    for word in ("title", "hint", "y"):
        assert re.search(rf'\b{word}: "[^"]+"', chart), word


def test_both_axes_of_every_chart_have_a_title() -> None:
    assert re.search(r"xaxis: \{[^}]*title: \{ text: \"epochs\"", SCRIPT)
    assert "title: { text: this.plan.y" in SCRIPT


def test_the_page_can_be_read_aloud() -> None:
    for role in ("status", "progressbar", "img", "alert", "group", "menu", "menuitem"):
        assert f'setAttribute("role", "{role}")' in SCRIPT
    for name in ("aria-valuenow", "aria-haspopup", "aria-expanded", "aria-label"):
        assert name in SCRIPT


def test_the_menu_can_be_used_from_the_keyboard() -> None:
    for key in ("ArrowDown", "ArrowUp", "Home", "End", "Escape", "Tab"):
        assert f"{key}" in SCRIPT


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_script_is_valid(tmp_path: Path) -> None:
    module = tmp_path / "live.mjs"
    module.write_text(SCRIPT, encoding="utf-8")
    checked = subprocess.run(
        ["node", "--check", module], capture_output=True, text=True, check=False, timeout=30
    )
    assert checked.returncode == 0, checked.stderr

"""Colours: cold for frozen, warm for full, one a run, and all of them to be seen on any theme."""

import pytest

from dashboard.palette import COLD, DARK, LIGHT, PRIMARY, PRIMARY_DARK, WARM, run_colour
from dashboard.runs import colour_of
from dashboard.stream import card
from engine.runs.store import Store
from tests.dashboard.made import add_pair, add_run, finish

LINE_CONTRAST = 3.0
TEXT_CONTRAST = 4.5
THEMES = {"light": LIGHT, "dark": DARK}


def luminance(colour: str) -> float:
    """Returns the relative luminance of `#rrggbb` (WCAG 2.2)."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Returns the contrast ratio of two colours, from 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_measured_as_wcag_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("colour", [*COLD, *WARM])
def test_a_line_of_every_colour_can_be_seen(colour: str, theme: str) -> None:
    assert contrast(colour, THEMES[theme]["background"]) >= LINE_CONTRAST


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", ["background", "panel"])
def test_text_can_be_read(theme: str, ground: str) -> None:
    assert contrast(THEMES[theme]["text"], THEMES[theme][ground]) >= TEXT_CONTRAST


@pytest.mark.parametrize(
    ("primary", "theme"), [(PRIMARY, "light"), (PRIMARY_DARK, "dark")], ids=["light", "dark"]
)
def test_the_main_button_stands_out(primary: str, theme: str) -> None:
    assert contrast(primary, THEMES[theme]["background"]) >= LINE_CONTRAST


def test_no_colour_is_used_twice() -> None:
    assert len({*COLD, *WARM}) == len(COLD) + len(WARM)


@pytest.mark.parametrize(("temperature", "colours"), [("cold", COLD), ("warm", WARM)])
def test_after_the_last_colour_comes_the_first(temperature: str, colours: tuple[str, ...]) -> None:
    assert [run_colour(temperature, place) for place in range(len(colours))] == list(colours)
    assert run_colour(temperature, len(colours)) == colours[0]


def test_frozen_is_cold_and_full_is_warm(store: Store) -> None:
    frozen, full = add_pair(store)
    assert colour_of(frozen) in COLD
    assert colour_of(full) in WARM


def test_runs_of_a_kind_have_different_colours(store: Store) -> None:
    pairs = [add_pair(store) for _ in range(4)]
    assert len({colour_of(frozen) for frozen, _ in pairs}) == 4
    assert len({colour_of(full) for _, full in pairs}) == 4


def test_a_run_keeps_its_colour(store: Store) -> None:
    run = add_run(store)
    before = colour_of(run)
    add_pair(store)
    finish(store, run)
    assert colour_of(store.run(run.id)) == before
    assert colour_of(Store().run(run.id)) == before


def test_the_live_chart_has_the_same_colour(store: Store) -> None:
    for run in (*add_pair(store), *add_pair(store)):
        assert card(run)["colour"] == colour_of(run)

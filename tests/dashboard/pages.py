"""The dashboard's pages without a browser."""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from streamlit.testing.v1 import AppTest

import dashboard.app_pages

PAGES = dashboard.app_pages.__path__[0]
APP = f"{PAGES}/../app.py"
TEXTS = (
    "title",
    "header",
    "subheader",
    "markdown",
    "caption",
    "text",
    "code",
    "info",
    "success",
    "warning",
    "error",
)
CONTROLS = (
    "slider",
    "select_slider",
    "selectbox",
    "segmented_control",
    "pills",
    "multiselect",
    "number_input",
    "text_input",
    "checkbox",
    "radio",
    "toggle",
)


def open_page(
    name: Literal[
        "train", "update", "models", "live", "compare", "depth", "search", "data", "runs"
    ] = "train",
    runs: Sequence[str] = (),
    view: str = "",
) -> AppTest:
    """Returns a page of the app that has been drawn once, with `?run=` and `?view=` as given."""
    page = AppTest.from_file(APP, default_timeout=30)
    run(page)
    if name != "train":
        if runs:
            page.query_params["run"] = list(runs)
        if view:
            page.query_params["view"] = view
        page.switch_page(f"app_pages/{name}.py")
        run(page)
    return page


def run(page: AppTest) -> AppTest:
    """Draws the page again and checks what holds for every view of every page."""
    page.run()
    assert not page.exception, [one.value for one in page.exception]
    assert "Traceback" not in text_of(page)
    return page


def text_of(page: AppTest) -> str:
    """Returns all that is written on the page, but for what stands in tables and charts."""
    written = [str(one.value) for kind in TEXTS for one in getattr(page, kind)]
    written += [one.label for one in page.expander]
    written += [one.proto.text for one in page.get("progress")]
    return "\n".join(written)


def components_of(page: AppTest, name: Literal["thaw_live", "thaw_embedding"]) -> list[Any]:
    """Returns what the components of a name on the page were given, as JSON."""
    found = [one.proto for one in page.get("bidi_component")]
    return [json.loads(one.json) for one in found if one.component_name.endswith(name)]


def runs_in_address(page: AppTest) -> list[str]:
    """Returns the ids of `?run=` in the page's address."""
    asked: str | list[str] = page.query_params.get("run", [])
    return [asked] if isinstance(asked, str) else asked


def controls_of(page: AppTest) -> list[Any]:
    """Returns everything that can be moved, typed in or chosen from."""
    return [control for kind in CONTROLS for control in getattr(page, kind)]


def start_button(page: AppTest) -> Any:
    """Returns the primary button of the Train page."""
    [button] = [one for one in page.button if one.proto.type == "primary"]
    return button


def press_start(page: AppTest) -> AppTest:
    start_button(page).click()
    return run(page)


def learning(page: AppTest) -> list[tuple[int, int]]:
    """Returns (parameters that will learn, parameters) of each run on the Train page."""
    found = re.findall(r"([\d,]+) of ([\d,]+) parameters will learn", text_of(page))
    return [(int(a.replace(",", "")), int(b.replace(",", ""))) for a, b in found]


def choose(page: AppTest, key: str, value: Any) -> AppTest:
    """Moves the control with a state key, and draws the page again."""
    [control] = [one for one in controls_of(page) if one.key == key]
    control.set_value(value)
    return run(page)

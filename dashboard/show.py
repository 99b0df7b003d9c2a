"""Charts and tables as all pages show them: with downloads that have good names."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard.preload import chart_script
from dashboard.words import file_stem

SCRIPT = Path(__file__).with_name("show.js")
# Fonts of the page are not in what is downloaded, so texts would be wider there than was reckoned.
FONT = "Arial, Helvetica, sans-serif"
# A download has so many pixels for one on the screen, so that it can be printed.
SCALE = 2


def show_chart(
    figure: go.Figure, key: str, name: str, alt: str | None = None, **settings: Any
) -> Any:
    """Shows a chart that can be downloaded as a PNG and as an SVG, each named after it.

    Args:
        figure: to show.
        key: of its state.
        name: what it shows and of which runs, in words; downloads are named after it.
        alt: the same for those who do not see it, where that takes more words.
        settings: further ones of `st.plotly_chart`.

    Returns:
        What `st.plotly_chart` returns: with `on_select`, what is selected.
    """
    figure.update_layout(font_family=FONT)
    config = {
        "displaylogo": False,
        "toImageButtonOptions": {"format": "png", "filename": file_stem(name), "scale": SCALE},
    }
    return st.plotly_chart(figure, key=key, alt=alt or name, config=config, **settings)


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "thaw_svg_buttons", js=SCRIPT.read_text(encoding="utf-8"), isolate_styles=False
    )


def svg_buttons() -> None:
    """Gives the charts of the page their button for an SVG; once a page is enough.

    What draws charts is read as soon as the browser is idle, so that the next page has them sooner.
    """
    _component()(key="svg-buttons", data={"chart_script": chart_script()})


def csv_button(frame: Callable[[], pd.DataFrame], key: str, name: str) -> None:
    """Shows a button that downloads a table as plain numbers: a column a number, no units in cells.

    Args:
        frame: makes the table when it is asked for.
        key: of the button's state.
        name: what it holds and of which runs, in words; the file is named after it.
    """
    st.download_button(
        "Numbers as CSV",
        lambda: frame().to_csv(index=False),
        file_name=f"{file_stem(name)}.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key=key,
        help="The same table with bare numbers: shares as fractions, times in seconds, each "
        "end of an interval in a column of its own.",
    )

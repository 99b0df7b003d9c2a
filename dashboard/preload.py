"""The script with which Streamlit draws charts, so that browsers read it before the first chart.

Streamlit loads it when a page's first chart comes, and the page waits while it is read: about half
a second of every opening of a page with charts.
"""

from functools import cache
from pathlib import Path

import streamlit

FOLDER = "static/js"


@cache
def chart_script() -> str | None:
    """Returns its path on the server, or None where this Streamlit has none of that name."""
    folder = Path(streamlit.__file__).parent / "static" / FOLDER
    found = sorted(folder.glob("PlotlyChart.*.js"))
    return f"/{FOLDER}/{found[0].name}" if found else None

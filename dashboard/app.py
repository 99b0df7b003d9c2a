"""Navigation: what `thaw` serves."""

from pathlib import Path

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from dashboard.access.pages import require_admitted, show_who
from dashboard.garbage import spare_modules
from dashboard.runs import plain
from dashboard.show import svg_buttons
from engine.errors import StoreError
from engine.redact import redacted
from engine.runs.patience import is_away, why_away

st.set_page_config(page_title="Thaw", page_icon=Path(__file__).parent / "icon.svg", layout="wide")

# A picture takes its place before it is loaded, so that what is below it does not move away from
# under the pointer.
st.html(
    "<style>[data-testid='stMainBlockContainer'] { padding-top: 4.5rem; }"
    "[data-testid='stImage'] img { aspect-ratio: auto 1; }</style>"
)

require_admitted()

page = st.navigation(
    [
        st.Page("app_pages/train.py", title="Train", icon=":material/tune:", default=True),
        st.Page("app_pages/update.py", title="Update", icon=":material/update:"),
        st.Page("app_pages/data.py", title="Data", icon=":material/photo_library:"),
        st.Page("app_pages/models.py", title="Models", icon=":material/deployed_code:"),
        st.Page("app_pages/live.py", title="Live", icon=":material/monitoring:"),
        st.Page("app_pages/runs.py", title="Runs", icon=":material/list:"),
        st.Page("app_pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page("app_pages/depth.py", title="Depth", icon=":material/layers:"),
        st.Page("app_pages/search.py", title="Search", icon=":material/search:"),
    ],
    position="top",
)
try:
    page.run()
except (SQLAlchemyError, StoreError) as error:
    if not is_away(error):
        raise
    st.error(
        f"The store of runs cannot be reached ({plain(redacted(why_away(error)))}). Runs that go "
        "on are not lost: reload this page once its database is back.",
        icon=":material/cloud_off:",
    )

show_who()
svg_buttons()
spare_modules()

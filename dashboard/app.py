"""Navigation: what `thaw` serves."""

from pathlib import Path

import streamlit as st

from dashboard.access.pages import require_admitted, show_who

st.set_page_config(page_title="Thaw", page_icon=Path(__file__).parent / "icon.svg", layout="wide")

st.html("<style>[data-testid='stMainBlockContainer'] { padding-top: 4.5rem; }</style>")

require_admitted()

st.navigation(
    [
        st.Page("app_pages/train.py", title="Train", icon=":material/tune:", default=True),
        st.Page("app_pages/data.py", title="Data", icon=":material/photo_library:"),
        st.Page("app_pages/models.py", title="Models", icon=":material/deployed_code:"),
        st.Page("app_pages/live.py", title="Live", icon=":material/monitoring:"),
        st.Page("app_pages/runs.py", title="Runs", icon=":material/list:"),
        st.Page("app_pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page("app_pages/depth.py", title="Depth", icon=":material/layers:"),
        st.Page("app_pages/search.py", title="Search", icon=":material/search:"),
    ],
    position="top",
).run()

show_who()

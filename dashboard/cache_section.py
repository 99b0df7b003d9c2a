"""The caches on the Train page: how much they hold, their bound, and throwing them away."""

import os

import streamlit as st

from dashboard.runs import plain
from engine.caching import cache_bytes, cache_limit, clear_cache, set_cache_limit
from engine.errors import ThawError


def cache_section(page: str) -> None:
    """Shows how much is kept for other runs, with its bound.

    Args:
        page: prefix of the state keys.
    """
    held = cache_bytes()
    with st.expander("Cache", icon=":material/database:"):
        st.markdown(f"Holds **{_size(held)}**.")
        st.caption(
            "Decoded pictures, and what frozen stages make of them: computed once, found by every "
            "later run. Where room is short, what was not used for longest goes first."
        )
        try:
            limit = cache_limit() / 2**30
        except ThawError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        is_fixed = "THAW_CACHE_GIB" in os.environ
        key = f"{page}.cache.limit"
        st.number_input(
            "At most (GiB)",
            0.0,
            1e6,
            round(limit, 1),
            1.0,
            help="Of the disk that THAW_HOME lies on; at first a fifth of what is free there. "
            "With 0 nothing is kept.",
            key=key,
            disabled=is_fixed,
            on_change=_bound,
            args=(key,),
        )
        if is_fixed:
            st.caption("Set by THAW_CACHE_GIB.")
        st.button(
            "Throw it away",
            icon=":material/delete:",
            key=f"{page}.cache.clear",
            disabled=not held,
            help="Frees the room; what a run needs is computed anew. Runs that go on are not "
            "disturbed.",
            on_click=_clear,
        )


def _bound(key: str) -> None:
    set_cache_limit(st.session_state[key])


def _clear() -> None:
    clear_cache()


def _size(num_bytes: int) -> str:
    if num_bytes < 2**30:
        return f"{num_bytes / 2**20:,.0f} MiB"
    return f"{num_bytes / 2**30:,.1f} GiB"

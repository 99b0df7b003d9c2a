"""Asks again in each page: what the gate lets pass is not shown to who is not let in."""

import streamlit as st

from dashboard.access.gate import LEAVE
from dashboard.access.rule import Access
from dashboard.runs import plain

_rule: list[Access] = []


def let_in_by(access: Access) -> None:
    """Makes the pages of this process ask this rule."""
    _rule[:] = [access]


def require_admitted() -> None:
    """Stops the page, with a way to sign in, where who opened it is not let in."""
    if not _rule or _may_see(_rule[0]):
        return
    st.title("Thaw")
    st.warning("You are not let in, or no longer.", icon=":material/lock:")
    st.html('<a href="/" target="_self">Come in again</a>')
    st.stop()


def _may_see(access: Access) -> bool:
    if access.admits_cookies(st.context.cookies):
        return True
    # Scripts have no cookies; the gate has looked at their token.
    return access.token is not None and "Authorization" in st.context.headers


def show_who() -> None:
    """Shows at the foot of a page who is in, where that is known, and the way out."""
    if not _rule or _rule[0].is_open:
        return
    access = _rule[0]
    user = access.sign_in.user(st.context.cookies) if access.sign_in else None
    if user is None:
        st.html(
            "<small>Opened with the token · "
            f'<a href="{LEAVE}" target="_self" style="color: inherit">Sign out</a></small>'
        )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        who = str(user.get("email") or user.get("sub") or "somebody")
        st.caption(f"Signed in as {plain(who)}", width="content")
        st.button("Sign out", icon=":material/logout:", on_click=st.logout, type="tertiary")

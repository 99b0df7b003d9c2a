"""Asks which class of new images is which of the model's, where the names leave it open."""

from collections.abc import Sequence

import streamlit as st

from dashboard.runs import plain
from engine.update.names import NEW, Matching, match_classes
from engine.update.request import Base

# With more new classes than this, nobody looks through them one by one.
MOST_OTHERS = 40


def ask_names(page: str, base: Base, names: Sequence[str]) -> tuple[dict[str, str], Matching]:
    """Asks of names that are close but not equal; returns the answers, and what follows from all.

    Args:
        page: prefix of the state keys.
        base: the model.
        names: classes of the new images.
    """
    first = match_classes(base.classes, names)
    answers: dict[str, str] = {}
    if first.open:
        with st.container(border=True, key=f"{page}-names"):
            _ask_close(page, base, first, answers)
    if first.new and len(first.new) <= MOST_OTHERS:
        with st.expander("Is one of the new classes really one of the model's?"):
            st.caption("A synonym, say, or a name in another language.")
            for name in first.new:
                meant = _ask(page, base, name, (), NEW)
                if meant:
                    answers[name] = meant
    return answers, match_classes(base.classes, names, answers)


def _ask_close(page: str, base: Base, first: Matching, answers: dict[str, str]) -> None:
    count = len(first.open)
    named = "name is" if count == 1 else "names are"
    st.markdown(
        f":material/help: **{count} {named} close to one of the model's, but not equal.** Say "
        "which is meant: one class under two names cannot be told apart, and two under one name "
        "are mixed up."
    )
    for name, close in first.open.items():
        meant = _ask(page, base, name, close, None)
        if meant is not None:
            answers[name] = meant


def _ask(page: str, base: Base, name: str, close: Sequence[str], default: str | None) -> str | None:
    """Returns the model's class that a name is said to be, NEW, or None while it is not said."""
    others = [other for other in base.classes if other not in close]
    options = [*close, NEW, *others] if close else [NEW, *others]
    key = name_key(page, base.start, name)
    if st.session_state.get(key, default) not in (None, *options):
        st.session_state[key] = default
    return st.selectbox(
        f"The new images have **{plain(name)}**",
        options,
        index=None if default is None else options.index(default),
        placeholder="Choose what it is",
        format_func=lambda meant: f"it is {meant}" if meant else "it is a new class",
        help="The classes of the model that are called nearly so come first.",
        key=key,
        persist_state="session",
    )


def name_key(page: str, start: str, name: str) -> str:
    """Returns the state key of what was answered about a name, for the model of an update."""
    return f"{page}.name.{start}.{name}"

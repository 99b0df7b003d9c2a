"""Maps of the same images side by side: a component that links them, and shows what lies where."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.live import sources

_FOLDER = Path(__file__).parent
STYLE, SCRIPT = "embedding.css", "embedding.js"


def script() -> str:
    """Returns the component's JavaScript, with what it shares with the live charts."""
    return f"{sources(('plotly.js',))}\n{(_FOLDER / SCRIPT).read_text(encoding='utf-8')}"


def style() -> str:
    """Returns the component's style sheet."""
    return (_FOLDER / STYLE).read_text(encoding="utf-8")


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "thaw_embedding",
        html='<div class="thaw-embedding"></div>',
        css=style(),
        js=script(),
        isolate_styles=False,
    )


def linked_maps(
    key: str, maps: dict[str, Any], selected: Sequence[int], token: int, heard: Callable[[], None]
) -> None:
    """Shows maps; `heard` is called when a person selects on one of them.

    Args:
        key: of the component.
        maps: panels, classes and answers; see embedding_maps.
        selected: positions of the images that are selected.
        token: another one than before says that they were selected elsewhere on the page.
        heard: asks `heard_selection` what.
    """
    _component()(
        key=key,
        data=maps | {"selected": list(selected), "token": token},
        on_selection_change=heard,
    )


def heard_selection(key: str, num_images: int) -> tuple[int, ...]:
    """Returns the positions of the images that were selected on a map; what is none is left out."""
    sent = st.session_state.get(key, {}).get("selection") or {}
    indices = sent.get("indices") if isinstance(sent, dict) else None
    if not isinstance(indices, list):
        return ()
    known = {one for one in indices if type(one) is int and 0 <= one < num_images}
    return tuple(sorted(known))

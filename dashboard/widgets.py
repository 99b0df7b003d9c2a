"""Controls made from the spec's own fields: label, range, unit and help are written once, there.

State keys carry the page's name, and values are kept while the person visits another page. What a
recipe sets is shown as it is, whether or not it lies on a control's grid.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from dashboard.stage_picture import rate_text
from engine.models.catalogue import search
from engine.spec import field_info, field_range

LEARNING_RATES = (
    *(float(f"{digit}e{power}") for power in range(-7, 0) for digit in (1, 2, 3, 5, 7)),
    1.0,
)


# Usual sizes, and those that some backbone was pre-trained at.
IMAGE_SIZES = tuple(
    sorted({64, 80, 96, 112, 128, 144, 150, 192, 320} | {one.default_size for one in search()})
)


def _extra(path: str) -> dict[str, Any]:
    extra: dict[str, Any] = field_info(path).json_schema_extra
    return extra


def _label(path: str, label: str | None = None) -> str:
    unit = _extra(path)["unit"]
    text = label or _extra(path)["label"]
    return f"{text} ({unit})" if unit else str(text)


def _key(page: str, path: str, suffix: str = "") -> str:
    return f"{page}.{path}{suffix}"


def number_slider(
    page: str,
    path: str,
    high: float | None = None,
    step: float | None = None,
    low: float | None = None,
    default: float | None = None,
    suffix: str = "",
    label: str | None = None,
    disabled: bool = False,
) -> Any:
    """Shows a slider for a numeric field; returns its value.

    Args:
        page: prefix of the state key.
        path: dotted name of the field.
        high: right end, where the field's own greatest value would make the slider too coarse.
        step: distance between values.
        low: left end, if not the field's own least value.
        default: starting value, if not the field's own.
        suffix: of the state key, where a field has several controls.
        label: what is shown, if not the field's own label.
        disabled: it has no effect with the other settings.
    """
    info = field_info(path)
    least, greatest = field_range(path)
    number = int if info.annotation is int else float
    key = _key(page, path, suffix)
    start, end = _ends(key, least if low is None else low, greatest if high is None else high)
    return st.slider(
        _label(path, label),
        number(start),
        number(end),
        number(info.default if default is None else default),
        number(step if step is not None else 1),
        help=info.description,
        key=key,
        disabled=disabled,
        persist_state="session",
    )


def _ends(key: str, low: float, high: float) -> tuple[float, float]:
    """Returns a slider's ends, moved outwards for good where it was set to more or to less.

    A slider whose ends change loses its value, so they must not move back.
    """
    state, kept = st.session_state, f"{key}.ends"
    value = state.get(key, low)
    known = state.get(kept, (low, high))
    ends = min(low, known[0], value), max(high, known[1], value)
    if ends != (low, high):
        state[kept] = ends
    return ends


def grid_slider(
    page: str,
    path: str,
    values: Iterable[float],
    default: float | None = None,
    suffix: str = "",
    label: str | None = None,
    text: Callable[[Any], str] = "{:g}".format,
    help_text: str = "",
) -> Any:
    """Shows a slider over a few values, among them the default and what a recipe has set.

    Args:
        page: prefix of the state key.
        path: dotted name of the field.
        values: to choose from.
        default: starting value, if not the field's own.
        suffix: of the state key, where a field has several controls.
        label: what is shown, if not the field's own label.
        text: writes a value.
        help_text: what is told of it, if not the field's own description.
    """
    info = field_info(path)
    key = _key(page, path, suffix)
    start = info.default if default is None else default
    return st.select_slider(
        _label(path, label),
        sorted({*values, start, st.session_state.get(key, start)}),
        value=start,
        format_func=text,
        help=help_text or info.description,
        key=key,
        persist_state="session",
    )


def choice(
    page: str, path: str, options: Sequence[str] | None = None, explains: bool = False
) -> str:
    """Shows a field's choices side by side; returns the one that is chosen.

    Args:
        page: prefix of the state key.
        path: dotted name of the field.
        options: to choose from, if not all of the field's.
        explains: say below the control what the chosen one means.
    """
    info = field_info(path)
    choices: dict[str, str] = _extra(path)["choices"]
    listed = "\n".join(f"- **{name}**: {meaning}" for name, meaning in choices.items())
    picked = st.segmented_control(
        _label(path),
        list(options or choices),
        default=info.default,
        required=True,
        wrap=True,
        help=f"{info.description}\n\n{listed}",
        key=_key(page, path),
        persist_state="session",
    )
    if explains and picked in choices:
        st.caption(f"**{picked}**: {choices[picked]}.")
    return str(picked)


def pick(
    page: str,
    path: str,
    options: Sequence[str],
    default: str,
    text: Callable[[Any], str],
    suffix: str = "",
) -> str:
    """Shows a list to pick a text from; returns the one that is picked.

    What is held in the state and is not on the list, since the list was another then, gives way to
    the default.

    Args:
        page: prefix of the state key.
        path: dotted name of the field.
        options: to pick from.
        default: the one to begin with.
        text: writes an option.
        suffix: of the state key, where a field has several controls.
    """
    key = _key(page, path, suffix)
    if st.session_state.get(key, default) not in options:
        st.session_state[key] = default
    return str(
        st.selectbox(
            _label(path),
            options,
            index=options.index(default),
            format_func=text,
            help=field_info(path).description,
            key=key,
            persist_state="session",
        )
    )


def switch(page: str, path: str) -> bool:
    """Shows a switch for a field that is on or off."""
    info = field_info(path)
    return st.toggle(
        _label(path),
        info.default,
        help=info.description,
        key=_key(page, path),
        persist_state="session",
    )


def image_size_slider(page: str, help_text: str = "", default: int = 160) -> int:
    """Shows a slider over the sizes that backbones are trained at; returns px."""
    size = grid_slider(page, "images.size", IMAGE_SIZES, default, text=str, help_text=help_text)
    return int(size)


def learning_rate_slider(
    page: str, suffix: str, default: float, label: str, path: str = "optimiser.lr"
) -> float:
    """Shows a slider on a logarithmic scale; returns the learning rate."""
    # Texts tell values apart, so they leave nothing out.
    text = partial(rate_text, digits=9)
    return float(grid_slider(page, path, LEARNING_RATES, default, suffix, label, text))

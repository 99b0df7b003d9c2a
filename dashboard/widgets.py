"""Controls made from the spec's own fields: label, range, unit and help are written once, there.

State keys carry the page's name, and values are kept while the person visits another page.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

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
) -> Any:
    """Shows a slider for a numeric field; returns its value.

    Args:
        page: prefix of the state key.
        path: dotted name of the field.
        high: right end, where the field's own greatest value would make the slider too coarse.
        step: distance between values.
        low: left end, if not the field's own least value.
        default: starting value, if not the field's own.
    """
    info = field_info(path)
    least, greatest = field_range(path)
    number = int if info.annotation is int else float
    return st.slider(
        _label(path),
        number(least if low is None else low),
        number(greatest if high is None else high),
        number(info.default if default is None else default),
        number(step if step is not None else 1),
        help=info.description,
        key=_key(page, path),
        persist_state="session",
    )


def choice(page: str, path: str, options: Sequence[str] | None = None) -> str:
    """Shows a field's choices side by side; returns the one that is chosen."""
    info = field_info(path)
    choices: dict[str, str] = _extra(path)["choices"]
    listed = "\n".join(f"- **{name}**: {meaning}" for name, meaning in choices.items())
    picked = st.segmented_control(
        _label(path),
        list(options or choices),
        default=info.default,
        required=True,
        help=f"{info.description}\n\n{listed}",
        key=_key(page, path),
        persist_state="session",
    )
    return str(picked)


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
    info = field_info("images.size")
    return int(
        st.select_slider(
            _label("images.size"),
            IMAGE_SIZES,
            value=default,
            help=help_text or info.description,
            key=_key(page, "images.size"),
            persist_state="session",
        )
    )


def learning_rate_slider(page: str, suffix: str, default: float, label: str) -> float:
    """Shows a slider on a logarithmic scale; returns the learning rate."""
    return float(
        st.select_slider(
            label,
            LEARNING_RATES,
            value=min(LEARNING_RATES, key=lambda rate: abs(rate - default)),
            format_func=lambda rate: f"{rate:.0e}".replace("e-0", "e-"),
            help=field_info("optimiser.lr").description,
            key=_key(page, "optimiser.lr", suffix),
            persist_state="session",
        )
    )

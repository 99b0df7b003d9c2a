"""Update: teach a model in use what new images show, and see what it forgets."""

from pathlib import Path

import streamlit as st

import dashboard
from dashboard.drift_section import drift_section
from dashboard.runs import plain
from dashboard.update_after import after_section
from dashboard.update_fill import copied_settings, fill_from_base
from dashboard.update_images import NewImages, images_section
from dashboard.update_launch import launch_section, not_ready, with_copied
from dashboard.update_list import updates_section
from dashboard.update_methods import learning_section, methods_section
from dashboard.update_model import base_section
from engine.runs.store import Run
from engine.update.foreseen import Way
from engine.update.known import is_run
from engine.update.request import Base

PAGE = "update"
STARTED = f"{PAGE}.started"


def main() -> None:
    """Lays the page out: choices on the left, what will happen on the right, updates below."""
    st.html(Path(dashboard.__file__).parent / "launch.css")
    st.title("Update")
    st.markdown(
        "A model is in use, and new images arrive: more of its classes, and classes that it has "
        "never seen. Teach it those, and see what it **forgets** of the old ones meanwhile."
    )
    settings, launch = st.columns([3, 2], gap="large")
    with settings:
        base, images, ways, seeds = _settings()
    with launch, st.container(border=True, key=f"{PAGE}-launch"):
        st.subheader("What will happen", anchor=False)
        started = _launch(base, images, ways, seeds)
    if started:
        st.session_state[STARTED] = [run.id for run in started]
        st.rerun()
    if base is not None:
        updates_section(PAGE, base)
        after_section(PAGE, base)


def _settings() -> tuple[Base | None, NewImages | None, list[Way], int]:
    base = base_section(PAGE)
    if base is None:
        return None, None, [], 1
    fill_from_base(PAGE, base)
    st.subheader("2 · New images", anchor=False)
    images = images_section(PAGE, base)
    if images is not None and is_run(base.start):
        with st.expander(
            "Are the new images like the old ones?", icon=":material/compare:", key=f"{PAGE}.look"
        ):
            drift_section(base.start, Path(images.data.folder), images.answers, PAGE)
    st.subheader("3 · Method", anchor=False)
    methods, settings = methods_section(PAGE)
    if not methods:
        return base, images, [], 1
    st.subheader("4 · Learning", anchor=False)
    ways, seeds = learning_section(PAGE, base, methods, settings)
    return base, images, with_copied(ways, copied_settings(PAGE, base)), seeds


def _launch(base: Base | None, images: NewImages | None, ways: list[Way], seeds: int) -> list[Run]:
    if started := st.session_state.pop(STARTED, None):
        many = "The update is" if len(started) == 1 else f"{len(started)} updates are"
        st.success(
            f"{many} in the queue and start by themselves; they are listed below.",
            icon=":material/check_circle:",
        )
        st.page_link(
            "app_pages/live.py",
            label="Follow them live",
            icon=":material/monitoring:",
            query_params={"run": started},
        )
    if base is None:
        not_ready(PAGE, "Choose a model")
    elif images is None:
        not_ready(PAGE, "Name new images that can be used, and settle what their classes are,")
    elif not ways:
        not_ready(PAGE, "Choose a method")
    else:
        st.caption(plain(f"Updates {base.name}."))
        return launch_section(PAGE, base, images, ways, seeds)
    return []


main()

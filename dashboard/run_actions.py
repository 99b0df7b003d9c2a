"""What can be done with runs that were chosen, and what is said of one."""

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard.clone import open_with
from dashboard.elsewhere import why_not_again
from dashboard.runs import plain, store
from dashboard.transfer_section import export_section
from dashboard.update_model import has_model
from engine.events import RESUMABLE
from engine.runs.queue import resume, retry
from engine.runs.store import Run

Change = Callable[[str], object]


def actions_section(page: str, chosen: Sequence[Run]) -> None:
    """Shows a button for everything that can be done with the chosen runs."""
    ids = [run.id for run in chosen]
    many = f"{len(chosen)} runs" if len(chosen) > 1 else plain(chosen[0].name)
    st.markdown(f"**{many}**")
    with st.container(horizontal=True, gap="small"):
        if st.button("Compare", icon=":material/compare_arrows:", key=f"{page}.compare"):
            st.switch_page("app_pages/compare.py", query_params={"run": ids})
        if st.button("Show the curves", icon=":material/monitoring:", key=f"{page}.live"):
            st.switch_page("app_pages/live.py", query_params={"run": ids})
        if len(chosen) == 1 and st.button(
            "Use its settings",
            icon=":material/content_copy:",
            key=f"{page}.clone",
            help="Fills the Train page with them, or the Update page where it is an update, to be "
            "changed or started again.",
        ):
            open_with(chosen[0].spec)
        if len(chosen) == 1 and has_model(chosen[0]):
            _update_button(page, chosen[0])
        export_section(page, chosen)
        _changes(page, chosen)


def _update_button(page: str, run: Run) -> None:
    if st.button(
        "Update it",
        icon=":material/update:",
        key=f"{page}.update",
        help="Teaches its model what new images show, and measures what it forgets.",
    ):
        st.switch_page("app_pages/update.py", query_params={"run": run.id})


def _changes(page: str, chosen: Sequence[Run]) -> None:
    ended = [run for run in chosen if not run.is_active]
    kept = [run for run in ended if run.deleted_at is None]
    deleted = [run for run in ended if run.deleted_at is not None]
    waiting = [run for run in chosen if run.status == "queued"]
    again = [run for run in kept if not why_not_again(run)]
    resumable = [run for run in again if run.status in RESUMABLE]
    active = [run for run in chosen if run.is_active]
    unstarred = [run for run in kept + active if not run.starred]
    starred = [run for run in kept + active if run.starred]
    away = [run for run in kept if run.archived]
    here = [run for run in kept if not run.archived]
    pausable = [run for run in active if run.status in ("queued", "running")]
    _button(page, "Stop", "stop", active, store().request_stop)
    _button(page, "Pause", "pause", pausable, store().request_pause)
    _button(page, "Start next", "vertical_align_top", waiting, store().put_first)
    _button(page, "Start last", "vertical_align_bottom", waiting, store().put_last)
    _button(page, "Resume", "resume", resumable, lambda run_id: resume(store(), run_id))
    _button(page, "Try again", "refresh", again, _retry)
    _button(page, "Star", "star", unstarred, lambda one: store().mark(one, starred=True))
    if not unstarred:
        _button(page, "No star", "star_half", starred, lambda one: store().mark(one, starred=False))
    _button(page, "Archive", "archive", here, lambda one: store().mark(one, archived=True))
    _button(page, "Bring back", "unarchive", away, lambda one: store().mark(one, archived=False))
    _button(page, "Delete", "delete", kept, store().delete, undone_by=store().restore)
    _button(page, "Restore", "restore_from_trash", deleted, store().restore)


def _retry(run_id: str) -> None:
    retry(store(), store().run(run_id))


def _button(
    page: str,
    label: str,
    icon: str,
    runs: Sequence[Run],
    change: Change,
    undone_by: Change | None = None,
) -> None:
    if not runs or not st.button(label, icon=f":material/{icon}:", key=f"{page}.{icon}"):
        return
    for run in runs:
        change(run.id)
    if undone_by is not None:
        st.session_state[f"{page}.undo"] = [(run.id, run.name) for run in runs]
    st.rerun()


def undo_section(page: str) -> None:
    """Shows what was just deleted, and brings it back."""
    deleted = st.session_state.get(f"{page}.undo")
    if not deleted:
        return
    what = plain(deleted[0][1]) if len(deleted) == 1 else f"{len(deleted)} runs"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":material/delete: **{what}** deleted; for seven days it can be had back under "
            "*Deleted*."
        )
        if st.button("Undo", icon=":material/undo:", key=f"{page}.undo_delete"):
            for run_id, _ in deleted:
                store().restore(run_id)
            del st.session_state[f"{page}.undo"]
            st.rerun()


def marks_form(page: str, run: Run) -> None:
    """Shows name, tags and note of a run, and keeps what is written there."""
    with st.form(f"{page}.marks.{run.id}", border=True):
        left, right = st.columns(2)
        with left:
            name = st.text_input("Name", run.name, max_chars=200)
        with right:
            tags = st.text_input(
                "Tags", ", ".join(run.tags), help="With commas between them.", max_chars=200
            )
        note = st.text_area("Note", run.note, height=80, max_chars=5000)
        if not st.form_submit_button("Save", icon=":material/save:"):
            return
    if not name.strip():
        st.error("A run needs a name.", icon=":material/error:")
        return
    words = [tag.strip() for tag in tags.split(",") if tag.strip()]
    store().mark(run.id, name=name.strip(), tags=words, note=note.strip())
    st.rerun()

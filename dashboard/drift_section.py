"""New images held against those of a run, before anything is trained: asked for, then shown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.drift_charts import LOOKS, auc_figure, norms_figure, num_rows_left
from dashboard.drift_gallery import far_gallery
from dashboard.roots import allowed_images
from dashboard.runs import percent, plain, store
from dashboard.show import csv_button, show_chart
from engine.errors import ThawError
from engine.events import WORKING
from engine.insight.batch_drift import LARGEST_P, BatchDrift
from engine.insight.batch_words import drift_verdict
from engine.insight.batch_work import (
    BatchCheck,
    batch_check,
    batch_work,
    known_drift,
    start_check,
)
from engine.insight.shift_tests import OtherImages, manifest_of, other_images
from engine.insight.two_samples import LEAST
from engine.runs.background import Work, WorkState
from engine.runs.store import Run
from engine.spec import DataSpec
from engine.update.names import match_classes

INTRODUCTION = (
    "Are the new images like those that the model was trained on? It costs one look at each "
    "picture and no training. What looks is the backbone as it was before the run, which has "
    "learnt none of these images by heart."
)
HOW_MEASURED = (
    "Old and new images are compared class by class, by what the backbone makes of them. Two "
    "tests have to agree. *p*: how often sets as different would be drawn from one source "
    "(maximum mean discrepancy, Gretton et al. 2012; permutations, and over the classes after "
    "Holm). *AUC*: how often a classifier picks the new one of an old and a new image that it has "
    "not seen (Lopez-Paz & Oquab 2017), with its 95 % interval. A class *differs* where p is at "
    f"most {LARGEST_P} and the interval lies above 0.5, and is *not told apart* where neither "
    f"holds. Fewer than {LEAST} images of a side are too few to say."
)
NORMS_TEXT = (
    "The pictures of the pre-training are gone, but each BatchNorm layer keeps the mean and "
    "variance that they gave in each of its channels. The shift is how far the mean of the old or "
    "new images lies from that, in standard deviations of then (root mean square over the "
    "channels, less what chance adds); the variance is in that of then, 1 where it is the same. No "
    "images of your own lie at 0: the old ones are what to compare with."
)


def drift_section(
    run_id: str,
    folder: Path,
    answers: Mapping[str, str] | None = None,
    page: str = "update",
) -> None:
    """Shows whether new images are like those of a run, or the button that finds out.

    Args:
        run_id: of a run that has ended.
        folder: of the new images.
        answers: which class is which where names are close; see match_classes.
        page: prefix of the state keys.
    """
    try:
        check = _check(store().run(run_id), folder, answers)
        if check is None:
            return
        found = known_drift(check)
        if found is None:
            _work_out(page, check, answers)
        else:
            _show(page, check.run, found)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _check(run: Run, folder: Path, answers: Mapping[str, str] | None) -> BatchCheck | None:
    """Returns what is to be compared; None, with a sentence, while it is open which class is which.

    Raises:
        ThawError: nothing can be compared.
    """
    data = DataSpec.parse({"folder": str(folder)})
    allowed_images(data, least_classes=1)
    others = _others(data.folder)
    matching = match_classes(manifest_of(run).classes, others.classes, answers)
    if matching.open:
        named = ", ".join(f"**{plain(name)}**" for name in matching.open)
        st.info(
            f"Say first which of the model's classes it is, or that it is a new one: {named}.",
            icon=":material/help:",
        )
        return None
    return batch_check(run, data.folder, answers, others)


@st.cache_data(ttl=20, max_entries=10, show_spinner="Looking at the pictures…")
def _others(folder: str) -> OtherImages:
    return other_images(folder, least_classes=1)


def _work_out(page: str, check: BatchCheck, answers: Mapping[str, str] | None) -> None:
    """Shows how far it is, or the button that starts it and why it failed before."""
    work = batch_work(check.key)
    state = work.state()
    if state is not None and state.is_working:
        _follow(page, work)
        return
    st.caption(INTRODUCTION)
    if state is not None and state.status == "failed":
        st.error(plain(state.reason), icon=":material/error:")
    if store().all_runs(WORKING):
        st.caption("A run is going on: both will be slower.")
    num = len(check.old.items) + len(check.new.items)
    st.button(
        "Check the new images",
        icon=":material/compare:",
        key=f"{page}.drift.start",
        on_click=start_check,
        args=(check, answers),
        help=f"Looks at {num:,} images in the background, and goes on when this page is closed; "
        "those that were looked at before are not looked at again.",
    )


@st.fragment(run_every=1)
def _follow(page: str, work: Work) -> None:
    """Shows how far it is; once it has ended, the page is drawn anew."""
    state = work.state()
    if state is None or not state.is_working:
        st.rerun()
    assert state is not None
    share = min(state.done / state.total, 1.0) if state.total else 0.0
    st.progress(share, _text(state))
    st.caption("It goes on when you leave this page.")
    st.button("Stop", icon=":material/stop:", key=f"{page}.drift.stop", on_click=work.stop)


def _text(state: WorkState) -> str:
    task = state.task[:1].upper() + state.task[1:] or "Starting"
    return f"{task}: {state.done:,} of {state.total:,}" if state.total else f"{task}…"


@st.fragment
def _show(page: str, run: Run, found: BatchDrift) -> None:
    _verdict(found)
    _table(page, run, found)
    _classes_chart(page, run, found)
    _norms_chart(page, run, found)
    far_gallery(page, found)
    for note in found.notes:
        st.caption(plain(note))
    st.caption(
        plain(
            f"Seen by {found.backbone} with {found.started_from}: {found.num_old:,} old and "
            f"{found.num_new:,} new images, each content once, in {found.seconds:.0f} s."
        )
    )


def _verdict(found: BatchDrift) -> None:
    """Says what was found, in the colour of how much is to be minded."""
    first, *rest = (one for one in drift_verdict(found, lambda name: f"**{plain(name)}**"))
    text = "\n\n".join([f"**{first.partition(':')[0]}**:{first.partition(':')[2]}", *rest])
    if found.overall_finding == "differs" or any(o.finding == "differs" for o in found.classes):
        st.warning(text, icon=":material/difference:")
    elif found.overall_finding == "alike":
        st.success(text, icon=":material/check_circle:")
    else:
        st.info(text, icon=":material/help:")


def _table(page: str, run: Run, found: BatchDrift) -> None:
    st.markdown("#### Class by class", help=HOW_MEASURED)
    st.dataframe(pd.DataFrame(_rows(found)), hide_index=True, key=f"{page}.drift.table")
    if found.absent:
        named = ", ".join(plain(name) for name in found.absent)
        st.caption(f"No new images of: {named}.")
    csv_button(lambda: _numbers(found), f"{page}.drift.csv", f"drift of new images, {run.name}")


def _rows(found: BatchDrift) -> list[dict[str, Any]]:
    """Returns what people read of each class."""
    rows = [
        {
            "class": one.name if one.folder == one.name else f"{one.name} ({one.folder})",
            "old": one.num_old,
            "new": one.num_new,
            "finding": "too few images" if one.alikeness is None else LOOKS[one.finding][0],
            "AUC": "–"
            if one.alikeness is None
            else f"{one.alikeness.auc.value:.2f} ({one.alikeness.auc.low:.2f} to "
            f"{one.alikeness.auc.high:.2f})",
            "p": "–" if one.p is None else f"{one.p:.3f}",
            "from pre-training": f"{_shift(one.old_shift)} → {_shift(one.new_shift)}",
        }
        for one in found.classes
    ]
    rows += [
        {
            "class": one.name,
            "old": 0,
            "new": one.num,
            "finding": "new; "
            + ", ".join(f"{percent(share)} nearest {name}" for name, share in one.nearest),
            "AUC": "–",
            "p": "–",
            "from pre-training": _shift(one.shift),
        }
        for one in found.new_classes
    ]
    return rows


def _shift(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _numbers(found: BatchDrift) -> pd.DataFrame:
    """Returns the table of the known classes as bare numbers."""
    return pd.DataFrame(
        {
            "class": one.name,
            "old": one.num_old,
            "new": one.num_new,
            "finding": one.finding,
            "auc": None if one.alikeness is None else one.alikeness.auc.value,
            "auc_low": None if one.alikeness is None else one.alikeness.auc.low,
            "auc_high": None if one.alikeness is None else one.alikeness.auc.high,
            "mmd": None if one.alikeness is None else one.alikeness.mmd,
            "p_holm": one.p,
            "old_shift": one.old_shift,
            "new_shift": one.new_shift,
        }
        for one in found.classes
    )


def _classes_chart(page: str, run: Run, found: BatchDrift) -> None:
    if found.overall is None and not any(one.alikeness for one in found.classes):
        return
    st.markdown("#### How well old and new are told apart")
    show_chart(
        auc_figure(found),
        key=f"{page}.drift.auc",
        name=f"old and new images told apart, {run.name}",
        alt="AUC of telling old from new images, with its interval, for each class",
    )
    if left := num_rows_left(found):
        st.caption(f"{left:,} more classes are in the table, told apart less well than these.")


def _norms_chart(page: str, run: Run, found: BatchDrift) -> None:
    st.markdown("#### How far from the pre-training")
    if found.norms is None:
        st.caption(plain(found.why_no_norms))
        return
    show_chart(
        norms_figure(found),
        key=f"{page}.drift.norms",
        name=f"shift in BatchNorm layers, {run.name}",
        alt="Shift and variance of old and new images in each BatchNorm layer",
    )
    st.caption(NORMS_TEXT)

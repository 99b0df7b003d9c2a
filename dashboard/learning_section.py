"""Learning curves: what more training images bring, and the button that trains what is missing."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.elsewhere import why_not_again
from dashboard.learning_charts import learning_figure
from dashboard.runs import colour_of, percent, plain, store
from dashboard.show import show_chart
from engine.data.intake import files_of
from engine.errors import ThawError
from engine.insight.compare import RunReport, report
from engine.insight.learning_curve import LearningCurve, LearningCurves, learning_curves
from engine.runs.experiment import FRACTIONS, Shares, other_shares
from engine.runs.queue import enqueue
from engine.runs.store import Run

REFRESH_SECONDS = 3.0
SHARES = ", ".join(f"{100 * one:g}" for one in FRACTIONS)
ABOUT = (
    "All points are judged on the same validation images. A smaller share is part of a larger one, "
    "and is the same for all seeds: bars are 95 % intervals over validation images and seeds, and "
    "do not hold what another choice of training images would change. All shares train for as many "
    "epochs, so fewer images are fewer steps."
)


def learning_section(page: str, runs: Sequence[Run]) -> None:
    """Shows the learning curves of the ways that some runs were trained in.

    Runs of the store that differ from them in their share of the images alone are taken along.

    Args:
        page: prefix of the state keys.
        runs: chosen on the page.
    """
    shares = _shares(runs)
    is_active = any(run.is_active for run in shares.there)
    every = REFRESH_SECONDS if is_active else None
    st.fragment(_draw, run_every=every)(page, list(runs), is_active)


def _shares(runs: Sequence[Run]) -> Shares:
    by_hand = [run.id for run in runs if store().events_of_kind(run.id, "act")]
    return other_shares(runs, store().all_runs(), by_hand)


def _draw(page: str, runs: list[Run], was_active: bool) -> None:
    shares = _shares(runs)
    waiting = [run for run in shares.there if run.is_active]
    if was_active and not waiting:
        st.rerun()
    reports = [report(store(), run) for run in shares.there]
    found = learning_curves(reports)
    _offer(page, shares, waiting)
    if found.num_shares < 2:
        st.info(
            f"A learning curve needs runs on several shares of the training images: {SHARES} %. "
            + ("They are on their way." if waiting else "The button above trains what is missing."),
            icon=":material/show_chart:",
        )
    if not found.curves:
        return
    for sentence in found.sentences:
        st.markdown(plain(sentence))
    st.subheader(
        "Accuracy against the number of training images",
        anchor=False,
        help=ABOUT,
    )
    colours = [_colour(curve) for curve in found.curves]
    show_chart(
        learning_figure(found.curves, colours),
        key=f"{page}.learning",
        name="accuracy against training images",
    )
    st.caption(ABOUT)
    _table(page, found)


def _offer(page: str, shares: Shares, waiting: Sequence[Run]) -> None:
    """Shows what is there and what is missing, and the button that trains the latter."""
    if shares.steered:
        names = ", ".join(plain(run.name) for run in shares.steered)
        st.caption(
            f"Left out, since they were steered by hand, which settings do not repeat: {names}."
        )
    if waiting:
        done = len(shares.there) - len(waiting)
        st.progress(
            done / len(shares.there),
            text=f"{done} of {len(shares.there)} runs have ended; the curves grow as they do.",
        )
    if not shares.missing:
        return
    count = len(shares.missing)
    wanted = sorted({spec.data.train_fraction for _, spec in shares.missing})
    percents = ", ".join(f"{100 * one:g}" for one in wanted)
    clicked = st.button(
        f"Train on {percents} % of the images: {count} run{'s' if count != 1 else ''}",
        icon=":material/show_chart:",
        type="primary",
        key=f"{page}.learning.start",
        help="The same settings and seeds on smaller shares of the training images, which queue up "
        "and start by themselves. Features of a frozen backbone come from the cache.",
    )
    if clicked:
        _start(shares)


def _start(shares: Shares) -> None:
    reasons = [reason for run in shares.there if (reason := why_not_again(run))]
    if reasons:
        st.warning(plain(reasons[0]), icon=":material/replay:")
        return
    try:
        for folder in dict.fromkeys(spec.data for _, spec in shares.missing):
            files_of(folder)
        enqueue(store(), list(shares.missing))
    except ThawError as error:
        st.warning(plain(str(error)), icon=":material/error:")
        return
    st.rerun()


def _colour(curve: LearningCurve) -> str:
    # Of the run on most images, whose colour the other views show.
    return colour_of(curve.points[-1].way.reports[0].run)


def _table(page: str, found: LearningCurves) -> None:
    rows = [
        {
            "way of training": curve.label,
            "share": percent(point.fraction),
            "training images": f"{point.num_images:,}",
            "seeds": len(point.way.seeds),
            "accuracy": f"{100 * point.accuracy.value:.1f} % ({100 * point.accuracy.low:.1f} to "
            f"{100 * point.accuracy.high:.1f})",
            "features": _features(list(point.way.reports)),
        }
        for curve in found.curves
        for point in curve.points
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"{page}.learning.table")


def _features(reports: Sequence[RunReport]) -> str:
    """Returns in how many runs what frozen stages give was found in the cache."""
    told = [f for one in reports if (f := one.run.summary.get("features_found")) is not None]
    return f"{sum(told)} of {len(told)} found in the cache" if told else "–"

"""Accuracy and loss over a run: one curve a way of training where it has several seeds."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.band_charts import WayCurve, band_figure
from dashboard.charts import Against, Curve, accuracy_figure, loss_figure
from dashboard.runs import colour_of, label_of
from dashboard.show import show_chart
from dashboard.words import names_of, way_name
from engine.insight.bands import meaning
from engine.insight.compare import RunReport
from engine.insight.experiment import Way, ways_of

NO_EPOCH = "No epoch is completed yet; curves appear with the first."


def curves_section(page: str, reports: Sequence[RunReport]) -> None:
    """Shows how accuracy and loss went, against epochs and against seconds.

    Args:
        page: prefix of the state keys.
        reports: the runs on the page.
    """
    if not any(one.epochs for one in reports):
        st.info(NO_EPOCH, icon=":material/timer:")
        return
    ways = ways_of(reports)
    several = any(len(way.reports) > 1 for way in ways)
    if several and not _wants_single_runs(page, len(reports)):
        _show_ways(page, ways)
        return
    st.caption("Solid: validation. Dotted: training. Click a run in the legend to hide it.")
    curves = [Curve(label_of(one.run), colour_of(one.run), one.epochs, one.acts) for one in reports]
    names = names_of([one.run for one in reports])
    _show(page, names, lambda metric, against: _FIGURES[metric](curves, against))


_FIGURES = {"accuracy": accuracy_figure, "loss": loss_figure}


def _wants_single_runs(page: str, num_runs: int) -> bool:
    return st.toggle(
        "Single runs",
        False,
        help=f"Draws each of the {num_runs} runs by itself, training too, in place of the mean of "
        "each way.",
        key=f"{page}.single_runs",
    )


def _show_ways(page: str, ways: Sequence[Way]) -> None:
    curves = [
        WayCurve(way_name(way), colour_of(way.reports[0].run), way.reports)
        for way in ways
        if all(one.epochs for one in way.reports)
    ]
    bands = sorted({len(way.reports) for way in ways if len(way.reports) > 1})
    means = sorted({f"{meaning(num)} ({num} runs)" for num in bands})
    missing = len(ways) - len(curves)
    st.caption(
        f"Validation, mean over the runs of each way of training. Band: {'; '.join(means)}; as far "
        "as all runs of the way came. Click a way in the legend to hide it."
        + (
            f" {missing} of the ways {'is' if missing == 1 else 'are'} left out until each of "
            "their runs has completed an epoch."
            if missing
            else ""
        )
    )
    if not curves:
        st.info(NO_EPOCH, icon=":material/timer:")
        return
    names = names_of([one.run for curve in curves for one in curve.reports])
    _show(page, names, lambda metric, against: band_figure(curves, metric, against))


def _show(page: str, names: str, figure_of: Callable[[str, Against], go.Figure]) -> None:
    left, right = st.columns(2)
    sides: tuple[tuple[DeltaGenerator, Against], ...] = ((left, "epochs"), (right, "seconds"))
    for column, against in sides:
        with column:
            for metric in ("accuracy", "loss"):
                st.subheader(f"{metric.capitalize()} against {against}", anchor=False)
                show_chart(
                    figure_of(metric, against),
                    key=f"{page}.{metric}.{against}",
                    name=f"{metric} against {against} {names}",
                )

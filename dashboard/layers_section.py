"""What happened in each stage of the runs compared: how far it moved, and how strongly."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.layers_charts import (
    Layered,
    Measure,
    gradient_figure,
    last_epoch_figure,
    stages_figure,
)
from dashboard.runs import colour_of, label_of, plain, store
from dashboard.show import show_chart
from dashboard.words import NAMED, names_of
from engine.insight.compare import RunReport
from engine.insight.layers import gradient_histories, layer_history

TITLES: dict[Measure, str] = {
    "drift": "How far the weights moved",
    "change": "How much else a stage sees",
}
EXPLAINED = (
    "Each row is a stage: the first map shows how far its weights are from those that the run "
    "began with, as a share of their length, the second how unlike what it makes of validation "
    "pictures is to what it made of them at first (1 - CKA: 0 is alike, 1 has nothing in common). "
    "Blue is "
    "unchanged to the last bit; a stage behind one that moved sees other things though its own "
    "weights stayed."
)


def layers_section(page: str, reports: Sequence[RunReport]) -> None:
    """Shows maps of stages and epochs, where each stage came to, and its gradients.

    Args:
        page: prefix of the state keys.
        reports: the runs compared.
    """
    found = [(one, layer_history(one)) for one in reports]
    runs = [
        Layered(label_of(one.run), colour_of(one.run), history)
        for one, history in found
        if history is not None
    ]
    without = [one for one, history in found if history is None]
    if runs:
        st.caption(EXPLAINED)
        _maps(page, runs)
        _notes(runs)
        _last_epochs(page, runs)
    _say_without(without, is_all=not runs)
    if runs:
        _gradients(page, [one for one, history in found if history is not None])


def _maps(page: str, runs: Sequence[Layered]) -> None:
    columns = st.columns(2)
    for column, (measure, title) in zip(columns, TITLES.items(), strict=True):
        with column:
            st.subheader(title, anchor=False)
            show_chart(
                stages_figure(runs, measure),
                key=f"{page}.layers.{measure}",
                name=f"{measure} by stage and epoch {_labels(runs)}",
                alt=title,
            )


def _notes(runs: Sequence[Layered]) -> None:
    """Tells what the colours alone do not say."""
    for one in runs:
        name = f"**{plain(one.label)}**"
        only = one.history.only_statistics
        if only:
            most = max(stage.statistics[-1] for stage in only)
            st.caption(
                f"{name}: the weights of {len(only)} of its {len(one.history.stages)} stages never "
                f"moved, but their BatchNorm statistics did, by up to {100 * most:.2g} % (BN): so "
                "they see other things all the same."
            )
        if one.history.num_untold:
            st.caption(
                f"{name}: what {one.history.num_untold} of its stages see could not be compared; "
                "their cells are left empty. There are too few validation pictures, or memory ran "
                "out, or a stage hands on no single picture's numbers."
            )
    images = sorted({one.history.num_images for one in runs})
    said = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,}"
    st.caption(
        f"CKA is computed on {said} validation pictures. Of a run with a moving average of the "
        "weights, the average is what is measured; of one that keeps a blend of two networks, the "
        "second."
    )


def _labels(runs: Sequence[Layered]) -> str:
    return " ".join(one.label for one in runs[:NAMED])


def _last_epochs(page: str, runs: Sequence[Layered]) -> None:
    st.subheader("Where each stage came to", anchor=False)
    st.caption("After each run's last epoch.")
    columns = st.columns(2)
    for column, measure in zip(columns, TITLES, strict=True):
        with column:
            show_chart(
                last_epoch_figure(runs, measure),
                key=f"{page}.layers.last.{measure}",
                name=f"{measure} by stage after the last epoch {_labels(runs)}",
            )
    with st.expander("As a table", icon=":material/table:"):
        st.dataframe(_table(runs), hide_index=True)


def _table(runs: Sequence[Layered]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "run": one.label,
                "epoch": one.history.epochs[-1],
                "stage": stage.label,
                "weights moved": stage.drift[-1],
                "BatchNorm statistics moved": stage.statistics[-1],
                "CKA": stage.cka[-1],
            }
            for one in runs
            for stage in one.history.stages
        ]
    )


def _say_without(without: Sequence[RunReport], is_all: bool) -> None:
    young = [one for one in without if not one.epochs]
    old = [one for one in without if one.epochs]
    say = st.info if is_all else st.caption
    if young:
        say(f"{_names(young)}: no epoch is completed yet; stages are measured after each.")
    if old:
        say(
            f"{_names(old)}: trained by an earlier Thaw, which did not measure its stages; *Try "
            "again* on the Runs page trains it anew with the same settings, and does."
        )


def _names(reports: Sequence[RunReport]) -> str:
    return ", ".join(f"**{plain(label_of(one.run))}**" for one in reports)


def _gradients(page: str, reports: Sequence[RunReport]) -> None:
    st.subheader("How strongly each stage is pulled", anchor=False)
    by_id = {one.run.id: one for one in reports}
    warmest = max(reports, key=lambda one: one.run.summary.get("trainable_parameters") or 0)
    run_id = warmest.run.id
    if len(by_id) > 1:
        ids = list(by_id)
        run_id = st.selectbox(
            "Gradients of",
            ids,
            index=ids.index(run_id),
            format_func=lambda one: label_of(by_id[one].run),
            help="The run whose gradients are shown, step by step.",
            key=f"{page}.layers.gradients",
        )
    gradients = gradient_histories(store(), by_id[run_id].run)
    if not gradients:
        st.info("No step of this run is told yet.", icon=":material/timer:")
        return
    st.caption(
        "The norm of the gradient of each stage over a step's batch, before it is clipped. A "
        "stage has one only while it learns: a frozen one has no line, one that is set free later "
        "begins later."
    )
    key = f"{page}.layers.gradients.of.{run_id}"
    name = f"gradient norm by stage {names_of([by_id[run_id].run])}"
    show_chart(gradient_figure(gradients), key=key, name=name)

"""Compare: finished or running runs side by side."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.blend_sections import interpolation_section, soup_section
from dashboard.classes_view import classes_view
from dashboard.cost_section import cost_section
from dashboard.curves_section import curves_section
from dashboard.embedding_section import embedding_section
from dashboard.going_on_section import going_on_section
from dashboard.images_section import images_section
from dashboard.layers_section import layers_section
from dashboard.learning_section import learning_section
from dashboard.number_tables import results_frame
from dashboard.report_view import report_view
from dashboard.runs import (
    asked_runs,
    colour_of,
    duration,
    label_of,
    percent,
    pick_runs,
    plain,
    store,
)
from dashboard.shift_section import shift_section
from dashboard.show import csv_button
from dashboard.steered import steered_section
from dashboard.update_results import update_results
from dashboard.verdict_section import estimates_section, verdict_section
from dashboard.words import names_of
from engine.insight.compare import RunReport, compare_settings, fairness_warnings, report
from engine.insight.ranking import judged_ways
from engine.runs.store import Run
from engine.spec import field_info

PAGE = "compare"


def main() -> None:
    """Shows results, curves, confusion matrices and settings of the chosen runs."""
    st.title("Compare")
    all_runs = store().all_runs()
    if not all_runs:
        st.info(
            "Nothing to compare yet. Train a frozen and a full run first: the pair is one click.",
            icon=":material/compare_arrows:",
        )
        st.page_link("app_pages/train.py", label="Go to Train", icon=":material/tune:")
        return
    runs = _pick(all_runs)
    if not runs:
        st.info("Choose the runs to compare above.", icon=":material/arrow_upward:")
        return
    going_on_section(PAGE, runs)
    reports = [report(store(), run) for run in runs]
    for warning in fairness_warnings(reports):
        st.warning(warning, icon=":material/balance:")
    view = st.segmented_control(
        "View",
        list(VIEWS),
        default=OVERVIEW,
        required=True,
        key="view",
        bind="query-params",
        label_visibility="collapsed",
        help="What of these runs is shown below; the address keeps it.",
    )
    VIEWS[view](reports)


def _overview(reports: list[RunReport]) -> None:
    ways, pairs = judged_ways(reports)
    verdict_section(ways, pairs)
    _results(reports)
    _memory_notes(reports)
    estimates_section(PAGE, ways, pairs)
    steered_section(PAGE, reports)
    curves_section(PAGE, reports)
    _settings([one.run for one in reports])


def _cost(reports: list[RunReport]) -> None:
    cost_section(PAGE, *judged_ways(reports))


def _learning(reports: list[RunReport]) -> None:
    learning_section(PAGE, [one.run for one in reports])


def _images(reports: list[RunReport]) -> None:
    images_section(PAGE, reports)


def _shift(reports: list[RunReport]) -> None:
    shift_section(PAGE, reports)


def _updates(reports: list[RunReport]) -> None:
    update_results([one.run for one in reports], PAGE)


def _embedding(reports: list[RunReport]) -> None:
    embedding_section(PAGE, reports)


def _layers(reports: list[RunReport]) -> None:
    layers_section(PAGE, reports)


def _report(reports: list[RunReport]) -> None:
    report_view(PAGE, reports)


def _weights(reports: list[RunReport]) -> None:
    runs = [one.run for one in reports]
    if sum(run.status == "finished" for run in runs) < 2:
        st.info(
            "An average takes two finished runs or more; a blend of before and after, a finished "
            "run of the strategy wise_ft.",
            icon=":material/blender:",
        )
    soup_section(PAGE, runs)
    interpolation_section(PAGE, runs)


def _pick(all_runs: list[Run]) -> list[Run]:
    by_id = {run.id: run for run in all_runs}
    asked = asked_runs()
    newest_group = [run for run in all_runs if run.group_id == all_runs[0].group_id][::-1]
    shown = asked or newest_group
    return pick_runs(
        PAGE,
        "Runs",
        by_id,
        shown,
        "The address keeps the choice, so it can be bookmarked or sent to someone.",
    )


def _results(reports: list[RunReport]) -> None:
    rows = [
        {
            "": "●",
            "run": label_of(one.run),
            "status": one.run.status,
            "best val accuracy": percent(one.best_val_accuracy),
            "in epoch": str(one.best_epoch or "–"),
            "time to it": duration(one.seconds_to_best),
            "time in all": duration(one.seconds),
            "parameters trained": _count(one.run.summary.get("trainable_parameters")),
            "peak memory": _memory(one),
            "frozen stages": _kept(one),
            "started from": one.run.summary.get("weights") or "–",
            "why it ended": one.run.reason or "–",
        }
        for one in reports
    ]
    table = pd.DataFrame(rows)
    dots = [f"color: {colour_of(one.run)}; font-weight: 700" for one in reports]
    styled = table.style.apply(lambda _: dots, subset=[""])
    st.dataframe(styled, hide_index=True)
    name = f"results {names_of([one.run for one in reports])}"
    csv_button(lambda: results_frame(reports), f"{PAGE}.results.csv", name)


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _kept(one: RunReport) -> str:
    """Returns whether what frozen stages give was computed, or found in the cache."""
    facts = one.run.summary
    if "features_found" not in facts:
        return "–"
    took = duration(facts["features_seconds"])
    return f"found, saved {took}" if facts["features_found"] else f"computed in {took}"


def _memory_notes(reports: list[RunReport]) -> None:
    for one in reports:
        for note in one.memory_notes:
            st.caption(f"**{plain(label_of(one.run))}**: {plain(note)}")


def _memory(one: RunReport) -> str:
    return f"{one.epochs[-1].values['peak_memory_mib']:,.0f} MiB" if one.epochs else "–"


def _classes(reports: list[RunReport]) -> None:
    classes_view(PAGE, reports)


def _settings(runs: list[Run]) -> None:
    st.subheader("Settings", anchor=False)
    rows = compare_settings(runs)
    differing = sum(row.differs for row in rows)
    if len(runs) > 1:
        st.caption(f"{differing} of {len(rows)} settings differ; they come first and are marked ≠.")
    records: list[dict[str, Any]] = [
        {
            "": "≠" if row.differs else "",
            "setting": field_info(row.name).json_schema_extra["label"],
            "unit": field_info(row.name).json_schema_extra["unit"],
            **{label_of(run): str(v) for run, v in zip(runs, row.values, strict=True)},
        }
        for row in rows
    ]
    table = pd.DataFrame(records)
    styled = table.style.apply(
        lambda line: [
            "background-color: rgba(217, 145, 0, 0.18); font-weight: 600" if line[""] else ""
            for _ in line
        ],
        axis=1,
    )
    st.dataframe(styled, hide_index=True, height="content")


# Only what is looked at is worked out.
OVERVIEW = "Overview"
VIEWS: dict[str, Callable[[list[RunReport]], None]] = {
    OVERVIEW: _overview,
    "Cost": _cost,
    "Learning curve": _learning,
    "Images": _images,
    "Classes": _classes,
    "Shift": _shift,
    "Updates": _updates,
    "Embedding": _embedding,
    "Layers": _layers,
    "Weights": _weights,
    "Report": _report,
}

main()

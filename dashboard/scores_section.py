"""How well each class is known, and how far the runs' confidence can be believed."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.class_charts import (
    MEASURES,
    Measure,
    ReliableRun,
    ScoredRun,
    class_figure,
    reliability_figure,
)
from dashboard.pair_choice import short_name
from dashboard.runs import colour_of, percent
from dashboard.show import show_chart
from dashboard.words import names_of
from engine.insight.calibration import reliability
from engine.insight.classes import ClassScore, Judgement, class_scores
from engine.insight.compare import RunReport
from engine.insight.intervals import Estimate

FEW = 20
ORDERS = ("as named", "worst first", "most different first")


def scores_section(page: str, pair: Sequence[RunReport], judged: Sequence[Judgement]) -> None:
    """Shows precision, recall and F1 of each class, side by side for two runs.

    Args:
        page: prefix of the state keys.
        pair: one run or two.
        judged: what each says of its validation images.
    """
    st.subheader("How well each class is known", anchor=False)
    runs = [
        ScoredRun(
            short_name(one.run),
            colour_of(one.run),
            {score.name: score for score in class_scores(found.classes, found.counts_KK)},
        )
        for one, found in zip(pair, judged, strict=True)
    ]
    measure, order = _choices(page, len(runs))
    classes = _ordered(runs, measure, order)
    if len(classes) > FEW:
        everything = st.toggle(
            f"All {len(classes):,} classes",
            key=f"{page}.scores.all",
            help=f"Otherwise the first {FEW} in this order.",
        )
        classes = classes if everything else classes[:FEW]
    named = names_of([one.run for one in pair])
    show_chart(
        class_figure(runs, classes, measure),
        key=f"{page}.scores",
        name=f"{measure} by class {named}",
    )
    interval = (
        "F1 is no share of independent images, so it has no interval."
        if measure == "F1"
        else "Lines are 95 % intervals (Wilson): where they are long, there are few images."
    )
    st.caption(interval)
    with st.expander("As a table", icon=":material/table:"):
        st.dataframe(pd.DataFrame(_rows(runs)), hide_index=True)


def _choices(page: str, num_runs: int) -> tuple[Measure, str]:
    with st.container(horizontal=True, gap="medium"):
        measure = st.segmented_control(
            "Measure",
            list(MEASURES),
            default="recall",
            required=True,
            key=f"{page}.scores.measure",
            help="\n".join(f"- **{name}**: {words}" for name, words in MEASURES.items()),
        )
        order = st.segmented_control(
            "Order",
            ORDERS if num_runs > 1 else ORDERS[:2],
            default=ORDERS[0],
            required=True,
            key=f"{page}.scores.order.{num_runs}",
            help="Worst: the lowest of both runs. Different: where the two are furthest apart.",
        )
    return measure, order


def _ordered(runs: Sequence[ScoredRun], measure: Measure, order: str) -> list[str]:
    names = list(dict.fromkeys(name for one in runs for name in one.scores))
    values = {name: [_value(one.scores.get(name), measure) for one in runs] for name in names}
    if order == "worst first":
        return sorted(names, key=lambda name: min(values[name]))
    if order == "most different first":
        return sorted(names, key=lambda name: min(values[name]) - max(values[name]))
    return names


def _value(score: ClassScore | None, measure: Measure) -> float:
    """Returns a measure; 0 where there is none."""
    if score is None:
        return 0.0
    estimates: dict[Measure, Estimate | None] = {
        "recall": score.recall,
        "precision": score.precision,
    }
    if measure == "F1":
        return score.f1 or 0.0
    estimate = estimates[measure]
    return 0.0 if estimate is None else estimate.value


def _rows(runs: Sequence[ScoredRun]) -> list[dict[str, object]]:
    return [
        {
            "class": score.name,
            "run": one.label,
            "images": score.num_images,
            "named": score.num_named,
            "right": score.num_right,
            "precision": _written(score.precision),
            "recall": _written(score.recall),
            "F1": percent(score.f1),
        }
        for scores in zip(*(list(one.scores.values()) for one in runs), strict=False)
        for one, score in zip(runs, scores, strict=True)
    ]


def _written(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def reliability_section(page: str, pair: Sequence[RunReport], judged: Sequence[Judgement]) -> None:
    """Shows how often the runs are right against how sure they are."""
    st.subheader("How far confidence can be believed", anchor=False)
    runs = [
        ReliableRun(
            short_name(one.run),
            colour_of(one.run),
            reliability(found.probabilities_NK, found.labels_N),
        )
        for one, found in zip(pair, judged, strict=True)
    ]
    show_chart(
        reliability_figure(runs),
        key=f"{page}.reliability",
        name=f"reliability {names_of([one.run for one in pair])}",
    )
    st.caption(
        "On the dashed line a model is right as often as it says; below it, it is too sure of "
        "itself. Small points have few images behind them. ECE is the mean distance from the line, "
        "weighed by images, in 15 bins (Guo et al. 2017)."
    )

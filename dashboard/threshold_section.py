"""Two classes: what each threshold of the probability gives, chosen on a slider."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.pair_choice import short_name
from dashboard.runs import colour_of, percent
from dashboard.show import show_chart
from dashboard.threshold_charts import RankedRun, precision_recall_figure, roc_figure
from dashboard.words import names_of
from engine.insight.classes import Judgement
from engine.insight.compare import RunReport
from engine.insight.intervals import Estimate
from engine.insight.thresholds import Verdict, ranking


def threshold_section(page: str, pair: Sequence[RunReport], judged: Sequence[Judgement]) -> None:
    """Shows precision against recall, and what a threshold comes to, where there are two classes.

    Args:
        page: prefix of the state keys.
        pair: one run or two.
        judged: what each says of its validation images, of two classes.
    """
    st.subheader("From which probability on", anchor=False)
    positive, threshold = _choices(page, judged[0].classes)
    runs = [
        RankedRun(short_name(one.run), colour_of(one.run), found)
        for one, judgement in zip(pair, judged, strict=True)
        if (found := ranking(judgement, positive)) is not None
    ]
    if not runs:
        st.info(
            "All validation images are of one class, so there is nothing to tell apart; validate "
            "on images of both.",
            icon=":material/balance:",
        )
        return
    named = names_of([one.run for one in pair])
    left, right = st.columns(2)
    with left:
        figure = precision_recall_figure(runs, threshold)
        show_chart(
            figure, key=f"{page}.threshold.precision_recall", name=f"precision and recall {named}"
        )
        st.caption(
            f"Diamonds: from {threshold:.0%} on. Dashed: what naming every image gives. AP is the "
            "area below the steps."
        )
    with right:
        show_chart(
            roc_figure(runs, threshold), key=f"{page}.threshold.roc", name=f"ROC curve {named}"
        )
        st.caption("AUC is the chance that an image of the class has the higher probability.")
    verdicts = [(one.label, one.ranking.at(threshold)) for one in runs]
    bests = [(f"{one.label}, best F1", one.ranking.best_f1()) for one in runs]
    st.dataframe(pd.DataFrame([_row(*one) for one in (*verdicts, *bests)]), hide_index=True)
    st.caption(
        "A threshold that is chosen on these images looks better on them than it will be: it was "
        "picked for how it does here. Check it on images that took no part in any choice."
    )


def _choices(page: str, classes: Sequence[str]) -> tuple[str, float]:
    with st.container(horizontal=True, gap="medium"):
        positive = st.segmented_control(
            "Counts as positive",
            list(classes),
            default=classes[-1],
            required=True,
            key=f"{page}.threshold.positive.{'.'.join(classes)}",
            help="The class that is looked for; precision and recall are of it.",
        )
        percents = st.slider(
            "Named from a probability of (%)",
            0,
            100,
            50,
            key=f"{page}.threshold.percent",
            help="With 50 % it is named where it is the more probable of the two, as everywhere "
            "else in Thaw.",
        )
    return positive, percents / 100


def _row(name: str, verdict: Verdict) -> dict[str, object]:
    return {
        "run": name,
        "named from": percent(verdict.threshold),
        "precision": _written(verdict.precision),
        "recall": _written(verdict.recall),
        "F1": percent(verdict.f1),
        "accuracy": _written(verdict.accuracy),
        "found": verdict.true_positives,
        "missed": verdict.false_negatives,
        "false alarms": verdict.false_positives,
        "rightly not named": verdict.true_negatives,
    }


def _written(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.0f} to {100 * estimate.high:.0f})"

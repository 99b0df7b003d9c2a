"""What runs came to under shift: in words, as a table, as charts, with examples of the images."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard.runs import colour_of, label_of, plain
from dashboard.shift_charts import Ends, Severities, accuracy_range, ends_figure, severity_figure
from dashboard.shift_examples import corruption_examples, folder_examples, what_is
from dashboard.show import show_chart
from dashboard.words import names_of
from engine.data.corruptions import CORRUPTIONS
from engine.insight.intervals import Estimate
from engine.insight.shift import RunUnderShift, Shift
from engine.insight.shift_judged import JudgedRun
from engine.insight.shift_pairs import ShiftPair
from engine.insight.shift_verdicts import shift_verdict
from engine.insight.verdicts import cautions

INTERVALS_HELP = (
    "In brackets what other images (and other seeds, where there are several) would give in 95 of "
    "100 cases."
)
IN_A_ROW = 3


def shift_results(page: str, found: Shift, example: JudgedRun) -> None:
    """Shows what runs came to under shift.

    Args:
        page: prefix of the state keys.
        found: the results.
        example: a run whose images are shown as examples.
    """
    if found.pairs:
        st.markdown(shift_verdict(_leading(found), bool(found.folder), _name))
    for note in (*cautions([one.way for one in found.ways], lambda way: _name(way.label)),):
        st.caption(note)
    for note in found.notes:
        st.caption(plain(note))
    _table(page, found)
    if found.folder:
        st.caption("Of the validation images, those of classes that the folder has, too.")
        _ends(page, found, "validation images", "images of the other folder")
    else:
        _severities(page, found)
        _ends(page, found, "as they are", "mean of 25 corruptions")
    _pairs(page, found)
    if example.test is None:
        return
    st.markdown("#### What the images look like")
    if found.folder:
        folder_examples(example.report.run, example.test)
    else:
        corruption_examples(page, example.report.run, example.test)


def _name(label: str) -> str:
    return f"**{plain(label[:1].upper() + label[1:])}**"


def _leading(found: Shift) -> ShiftPair:
    """Returns the pair to speak of: one that changes places, else the two best as they are."""
    real = [pair for pair in found.pairs if pair.is_change_real]
    changing = [pair for pair in found.pairs if pair.changes_places]
    ranked = sorted(found.ways, key=lambda one: -one.clean.value)
    best = {one.way.label for one in ranked[:2]}
    leading = [pair for pair in found.pairs if {pair.first, pair.second} == best]
    return (real or changing or leading or list(found.pairs))[0]


def _table(page: str, found: Shift) -> None:
    shifted = "other folder" if found.folder else "mean of 25 corruptions"
    rows: list[dict[str, Any]] = [
        {
            "": "●",
            "run": label_of(one.report.run),
            "as they are": _percent(one.clean),
            shifted: _percent(one.shifted),
            "change": f"{-100 * one.drop:+.1f} points",
        }
        for one in found.runs
    ]
    several = [one for one in found.ways if len(one.sides.seeds) > 1]
    rows += [
        {
            "": "◆",
            "run": f"{one.way.label}, over {len(one.sides.seeds)} seeds",
            "as they are": _percent(one.clean),
            shifted: _percent(one.shifted),
            "change": f"{100 * (one.shifted.value - one.clean.value):+.1f} points",
        }
        for one in several
    ]
    dots = [f"color: {colour_of(one.report.run)}; font-weight: 700" for one in found.runs]
    dots += ["font-weight: 700"] * len(several)
    styled = pd.DataFrame(rows).style.apply(lambda _: dots, subset=[""])
    st.markdown("#### Accuracy, as they are and shifted", help=INTERVALS_HELP)
    st.dataframe(
        styled,
        hide_index=True,
        column_config={"": st.column_config.Column(width=40)},
        key=f"{page}.shift.table",
    )


def _severities(page: str, found: Shift) -> None:
    by_kind = {
        kind: [_line(one, kind) for one in found.runs if one.by_kind()] for kind in CORRUPTIONS
    }
    lowest, highest = accuracy_range([line for lines in by_kind.values() for line in lines])
    st.markdown("#### Accuracy against severity")
    intervals = "" if len(found.runs) > 3 else " Bars are 95 % intervals."
    st.caption(f"A line a run, in the colours of the table.{intervals}")
    kinds = list(by_kind)
    for start in range(0, len(kinds), IN_A_ROW):
        # Row by row, since on a narrow screen columns come one after the other.
        for column, kind in zip(
            st.columns(IN_A_ROW), kinds[start : start + IN_A_ROW], strict=False
        ):
            with column:
                figure = severity_figure(by_kind[kind], lowest, highest)
                _severity(page, kind, figure)


def _severity(page: str, kind: str, figure: go.Figure) -> None:
    what = what_is(kind)
    st.markdown(f"**{what}**")
    show_chart(
        figure,
        key=f"{page}.shift.severity.{kind}",
        name=f"accuracy against severity of {kind}",
        alt=f"Accuracy of each run against the severity of {what}",
    )


def _line(one: RunUnderShift, kind: str) -> Severities:
    run = one.report.run
    return Severities(label_of(run), colour_of(run), one.by_kind()[kind])


def _ends(page: str, found: Shift, clean: str, shifted: str) -> None:
    st.markdown("#### Side by side")
    ends = [
        Ends(_short(one), colour_of(one.report.run), one.clean, one.shifted) for one in found.runs
    ]
    show_chart(
        ends_figure(ends, clean, shifted),
        key=f"{page}.shift.ends",
        name=f"accuracy under shift {names_of([one.report.run for one in found.runs])}",
        alt="Accuracy of each run on images as they are, and on shifted ones",
    )


def _short(one: RunUnderShift) -> str:
    run = one.report.run
    return run.name.partition(" · ")[0] + f" {run.id[:4]}"


def _pairs(page: str, found: Shift) -> None:
    if not found.pairs:
        return
    if len(found.pairs) > 1:
        with st.expander(f"All {len(found.pairs)} pairs", icon=":material/balance:"):
            for pair in found.pairs:
                st.markdown(shift_verdict(pair, bool(found.folder), _name))
    pair = _leading(found)
    if not pair.kinds:
        return
    title = f"Corruption by corruption: {plain(pair.first)} less {plain(pair.second)}"
    with st.expander(title, icon=":material/foggy:"):
        st.caption(
            "All severities taken together, on the same corrupted images. *Chance* is how often a "
            "difference as large would come about where there is none; it allows for the five "
            "corruptions (Holm)."
        )
        st.dataframe(_kinds(pair), hide_index=True, key=f"{page}.shift.kinds")


def _kinds(pair: ShiftPair) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "corruption": what_is(one.kind),
                "lead": _points(one.difference.estimate),
                "chance": f"{one.adjusted_p:.2g}",
                "told apart": "yes" if one.adjusted_p < 0.05 else "no",
            }
            for one in pair.kinds
        ]
    )


def _points(one: Estimate) -> str:
    return f"{100 * one.value:+.1f} points ({100 * one.low:+.1f} to {100 * one.high:+.1f})"


def _percent(one: Estimate) -> str:
    return f"{100 * one.value:.1f} % ({100 * one.low:.1f} to {100 * one.high:.1f})"

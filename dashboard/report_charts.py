"""Figures of a report on a data set."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.charts import letter_by_letter
from dashboard.palette import SPLIT_COLOURS

ROW_PX = 24
MOST_PX = 900


def class_bars(classes: Sequence[tuple[str, int, int]], has_split: bool) -> go.Figure:
    """Returns pictures by class as bars, the largest class on top.

    Args:
        classes: name, pictures to train on and to validate on.
        has_split: whether the two are told apart.
    """
    ordered = sorted(classes, key=lambda one: one[1] + one[2])
    # As numbers, which Plotly does not read as dates or markup, with names as labels.
    places = list(range(len(ordered)))
    parts = (("train", 1), ("val", 2)) if has_split else (("pictures", 1),)
    bars = [
        go.Bar(
            name=name,
            x=[one[index] for one in ordered],
            y=places,
            orientation="h",
            marker_color=SPLIT_COLOURS[order],
            customdata=[[letter_by_letter(one[0])] for one in ordered],
            hovertemplate="%{customdata[0]}: %{x:,} " + name + "<extra></extra>",
        )
        for order, (name, index) in enumerate(parts)
    ]
    figure = go.Figure(bars)
    figure.update_layout(
        barmode="stack",
        height=min(MOST_PX, 90 + ROW_PX * len(ordered)),
        margin={"l": 8, "r": 8, "t": 8, "b": 40},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        showlegend=has_split,
        xaxis_title="pictures",
    )
    figure.update_yaxes(
        tickvals=places, ticktext=[_text(one[0]) for one in ordered], automargin=True
    )
    return figure


def _text(name: str) -> str:
    short = name if len(name) <= 24 else f"{name[:23]}…"
    return letter_by_letter(short)

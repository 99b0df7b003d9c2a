"""Figures of a new batch held against the old one, as pure functions from what was found."""

import plotly.graph_objects as go

from dashboard.charts import letter_by_letter
from dashboard.palette import PRIMARY_DARK, SPLIT_COLOURS, WARM
from engine.insight.batch_drift import CHANCE, BatchDrift, Finding
from engine.insight.two_samples import Alikeness

GREY = "#8894a3"
ALL_CLASSES = "all, same mix"
# Of more classes those are drawn that are told apart best.
MOST_ROWS = 30
MARGIN = {"l": 8, "r": 8, "t": 8, "b": 8}
LOOKS: dict[Finding, tuple[str, str, str]] = {
    "differs": ("differs", WARM[0], "diamond"),
    "unclear": ("not clear", GREY, "circle-open"),
    "alike": ("not told apart", PRIMARY_DARK, "circle"),
}
OLD_COLOUR, NEW_COLOUR = SPLIT_COLOURS


def auc_figure(found: BatchDrift) -> go.Figure:
    """Returns how well old and new images of each class are told apart, a row a class."""
    rows = _rows(found)
    figure = go.Figure()
    for finding, (label, colour, symbol) in LOOKS.items():
        chosen = [(place, row) for place, row in enumerate(rows) if row[2] == finding]
        if not chosen:
            continue
        aucs = [row[1].auc for _, row in chosen]
        figure.add_scatter(
            x=[auc.value for auc in aucs],
            y=[place for place, _ in chosen],
            customdata=[
                [letter_by_letter(row[0]), auc.low, auc.high, *row[1].num]
                for (_, row), auc in zip(chosen, aucs, strict=True)
            ],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [auc.high - auc.value for auc in aucs],
                "arrayminus": [auc.value - auc.low for auc in aucs],
                "color": colour,
                "thickness": 1.4,
                "width": 4,
            },
            name=label,
            mode="markers",
            marker={"color": colour, "size": 11, "symbol": symbol, "line": {"width": 2}},
            hovertemplate="%{customdata[0]}: %{x:.2f} (%{customdata[1]:.2f} to "
            "%{customdata[2]:.2f}), %{customdata[3]:,} old and %{customdata[4]:,} new images"
            "<extra></extra>",
        )
    figure.add_vline(CHANCE, line={"color": GREY, "width": 1.2, "dash": "dot"})
    figure.update_layout(
        margin=MARGIN,
        height=120 + 34 * len(rows),
        showlegend=True,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={
            "title": "AUC (0.5 is chance)",
            "range": [-0.02, 1.03],
            "automargin": True,
        },
        yaxis={
            "title": "class",
            "tickvals": list(range(len(rows))),
            "ticktext": [_short(row[0]) for row in rows],
            "range": [len(rows) - 0.5, -0.5],
            "automargin": True,
        },
    )
    return figure


def _rows(found: BatchDrift) -> list[tuple[str, Alikeness, Finding]]:
    """Returns name, alikeness and finding of each row from the top, the best told apart first."""
    rows = [
        (one.name, one.alikeness, one.finding) for one in found.classes if one.alikeness is not None
    ]
    rows.sort(key=lambda row: -row[1].auc.value)
    first = [(ALL_CLASSES, found.overall, found.overall_finding)] if found.overall else []
    return [*first, *rows[:MOST_ROWS]]


def num_rows_left(found: BatchDrift) -> int:
    """Returns how many compared classes are not drawn."""
    return max(0, sum(one.alikeness is not None for one in found.classes) - MOST_ROWS)


def _short(name: str, most: int = 18) -> str:
    return letter_by_letter(name if len(name) <= most else f"{name[: most - 1]}…")


def norms_figure(found: BatchDrift) -> go.Figure:
    """Returns shift and variance in each BatchNorm layer, of old and of new images.

    Args:
        found: with what BatchNorm says.
    """
    norms = found.norms
    assert norms is not None
    layers = norms.layers
    numbers = list(range(1, len(layers) + 1))
    names = [letter_by_letter(one.name) for one in layers]
    figure = go.Figure()
    for label, colour, shifts, variances in (
        ("old", OLD_COLOUR, [o.old for o in layers], [o.old_variance for o in layers]),
        ("new", NEW_COLOUR, [o.new for o in layers], [o.new_variance for o in layers]),
    ):
        for axis, values, form in (("y", shifts, ".2f"), ("y2", variances, ".2g")):
            figure.add_scatter(
                x=numbers,
                y=values,
                customdata=names,
                name=f"{label} images",
                legendgroup=label,
                showlegend=axis == "y",
                yaxis=axis,
                mode="lines+markers",
                line={"color": colour, "width": 2.2},
                marker={"size": 5},
                hovertemplate=f"%{{customdata}}: %{{y:{form}}}",
            )
    figure.update_layout(
        margin=MARGIN,
        height=430,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={
            "title": "BatchNorm layer, from the stem on",
            "anchor": "y2",
            "automargin": True,
            "range": [0.0, len(layers) + 1.0],
        },
        yaxis={
            "title": "shift, std. dev.",
            "rangemode": "tozero",
            "domain": [0.48, 1.0],
            "automargin": True,
        },
        yaxis2={
            "title": "variance ratio",
            "type": "log",
            "domain": [0.0, 0.38],
            "automargin": True,
            "dtick": 1,
        },
    )
    figure.add_hline(1.0, yref="y2", line={"color": GREY, "width": 1.0, "dash": "dot"})
    return figure

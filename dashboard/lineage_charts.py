"""The matrix of continual learning as a heat map, as a pure function from it."""

import plotly.graph_objects as go

from dashboard.charts import letter_by_letter
from dashboard.words import percent
from engine.update.matrix import Matrix

# Opaque, so that numbers can be read on them whatever the theme.
NOTHING, ALL = "#cfe8ec", "#075968"
ON_PALE, ON_STRONG = "#0d1f26", "#ffffff"
# From which accuracy on a cell is too strong for dark letters.
STRONG = 0.68
# With more batches, numbers in the cells would lie over each other.
MOST_WITH_NUMBERS = 12
LONGEST_NAME = 14


def matrix_figure(matrix: Matrix) -> go.Figure:
    """Returns accuracy after each update (down) on each batch (across), as colours and numbers.

    What a model told right of a batch before it learnt from it has no colour, and brackets.
    """
    num = len(matrix.batches)
    learnt = [
        [value if column <= row else None for column, value in enumerate(line)]
        for row, line in enumerate(matrix.rows)
    ]
    heatmap = go.Heatmap(
        z=learnt,
        x=list(range(num)),
        y=list(range(num)),
        zmin=0.0,
        zmax=1.0,
        colorscale=[[0.0, NOTHING], [1.0, ALL]],
        showscale=num > MOST_WITH_NUMBERS,
        colorbar={"title": {"text": "accuracy"}, "tickformat": ".0%", "thickness": 8},
        customdata=[[_told(matrix, row, column) for column in range(num)] for row in range(num)],
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=True,
        xgap=2,
        ygap=2,
    )
    figure = go.Figure([heatmap, *_numbers(matrix)])
    names = [_short(batch.name) for batch in matrix.batches]
    counts = [f"{batch.num_val:,} images" for batch in matrix.batches]
    ticks = {"tickvals": list(range(num)), "showgrid": False, "zeroline": False}
    figure.update_xaxes(
        **ticks,
        ticktext=[f"{name}<br>{count}" for name, count in zip(names, counts, strict=True)],
        title={"text": "validation images of batch", "standoff": 6},
        side="top",
        range=[-0.5, num - 0.5],
        automargin=True,
    )
    figure.update_yaxes(
        **ticks,
        ticktext=[f"after {name}" for name in names],
        range=[num - 0.5, -0.5],
        title="model",
        automargin=True,
    )
    figure.update_layout(
        height=min(720, 130 + 54 * num),
        margin={"l": 8, "r": 8, "t": 60, "b": 8},
        dragmode=False,
        showlegend=False,
    )
    return figure


def _numbers(matrix: Matrix) -> list[go.Scatter]:
    """Returns the numbers in the cells: white where the colour is strong."""
    if len(matrix.batches) > MOST_WITH_NUMBERS:
        return []
    layers = []
    for colour in (ON_STRONG, ON_PALE, None):
        cells = [
            (row, column, value)
            for row, line in enumerate(matrix.rows)
            for column, value in enumerate(line)
            if value is not None and _on(row, column, value) == colour
        ]
        layers.append(
            go.Scatter(
                x=[column for _, column, _ in cells],
                y=[row for row, _, _ in cells],
                text=[
                    percent(value) if column <= row else f"({percent(value)})"
                    for row, column, value in cells
                ],
                mode="text",
                textfont={"size": 14, **({"color": colour} if colour else {})},
                hoverinfo="skip",
            )
        )
    return layers


def _on(row: int, column: int, value: float) -> str | None:
    """Returns the colour of a number; None where its cell has no colour."""
    if column > row:
        return None
    return ON_STRONG if value >= STRONG else ON_PALE


def _told(matrix: Matrix, row: int, column: int) -> str:
    value, batch = matrix.rows[row][column], letter_by_letter(matrix.batches[column].name)
    model = letter_by_letter(matrix.models[row].name) or "a model that is not here"
    when = " before it learnt from it" if column > row else ""
    if value is None:
        return f"{model}, {batch}: not known"
    return f"{model}: {percent(value)} of batch {batch}{when}"


def _short(name: str) -> str:
    cut = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return letter_by_letter(cut)

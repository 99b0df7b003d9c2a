"""Confusion matrices whose cells can be clicked, and the difference of two, as pure functions."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.charts import letter_by_letter

Scale = Literal["images", "share of class"]
Cell = tuple[int, int]
SCALES: tuple[Scale, ...] = ("images", "share of class")
# With more classes, numbers in the cells would lie over each other.
MOST_WITH_NUMBERS = 20
# With more, a phone has no room for a name a row.
MOST_NAMED = 40
LONGEST_NAME = 18
# Share of the full colour from which on a cell is too strong for dark letters.
STRONG = 0.6
FAINT = "rgba(128,128,128,0.06)"
LESS, MORE = "#c2410c", "#2b7de9"


def confusion_figure(
    counts_KK: NDArray[np.int64], classes: Sequence[str], colour: str, scale: Scale = "images"
) -> go.Figure:
    """Returns a confusion matrix: true classes down, named ones across.

    Colour shows the share of the true class, so that rare classes are judged like common ones.

    Args:
        counts_KK: images by true class (rows) and class that was named (columns), K classes.
        classes: their names.
        colour: of the run.
        scale: what the cells say.
    """
    shares_KK = counts_KK / np.maximum(counts_KK.sum(axis=1, keepdims=True), 1)
    if scale == "images":
        texts = [[f"{one}" if one else "" for one in row] for row in counts_KK.tolist()]
    else:
        texts = [[f"{100 * one:.0f}" if one else "" for one in row] for row in shares_KK.tolist()]
    heatmap = _heatmap(
        shares_KK,
        colorscale=[[0.0, FAINT], [1.0, colour]],
        zmin=0.0,
        zmax=1.0,
        colorbar=_colour_bar("share of true class", ".0%"),
    )

    def told(label: str, named: str, cell: Cell) -> str:
        return f"{label} taken for {named}: {_images(counts_KK[cell])} ({shares_KK[cell]:.0%})"

    numbers = _numbers(texts, shares_KK > STRONG)
    return _figure(heatmap, numbers, _targets(counts_KK, classes, told), classes)


def difference_figure(
    first_KK: NDArray[np.int64],
    second_KK: NDArray[np.int64],
    classes: Sequence[str],
    names: tuple[str, str],
    scale: Scale = "images",
) -> go.Figure:
    """Returns the second confusion matrix less the first, of the same images.

    Args:
        first_KK: images by true class (rows) and class that was named (columns).
        second_KK: likewise, of the other run.
        classes: their names.
        names: of the runs.
        scale: what the cells say: images, or points of the true class's share.
    """
    difference_KK = second_KK - first_KK
    totals_K1 = np.maximum(first_KK.sum(axis=1, keepdims=True), 1)
    shown_KK = difference_KK if scale == "images" else 100 * difference_KK / totals_K1
    texts = [[f"{one:+.0f}" if one else "" for one in row] for row in shown_KK.tolist()]
    most = float(max(1.0, np.abs(shown_KK).max(initial=0.0)))
    heatmap = _heatmap(
        shown_KK,
        colorscale=[[0.0, LESS], [0.5, FAINT], [1.0, MORE]],
        zmin=-most,
        zmax=most,
        colorbar=_colour_bar("images" if scale == "images" else "points", "+.3~g"),
    )
    first, second = (letter_by_letter(name) for name in names)

    def told(label: str, named: str, cell: Cell) -> str:
        counts = f"{first} {first_KK[cell]:,}, {second} {_images(second_KK[cell])}"
        return f"{label} taken for {named}: {counts}"

    numbers = _numbers(texts, np.abs(shown_KK) > STRONG * most)
    return _figure(heatmap, numbers, _targets(first_KK + second_KK, classes, told), classes)


def clicked_cell(state: Any) -> tuple[str, str] | None:
    """Returns (true class, named class) of the cell that was clicked, None of none.

    Args:
        state: what Streamlit keeps of a chart whose selections it watches.
    """
    points = state.selection.points if state else []
    for point in points:
        data = point.get("customdata")
        if data:
            return str(data[0]), str(data[1])
    return None


def _images(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def _heatmap(values_KK: NDArray[Any], **options: Any) -> go.Heatmap:
    num_classes = len(values_KK)
    return go.Heatmap(
        z=values_KK,
        x=list(range(num_classes)),
        y=list(range(num_classes)),
        # Numbers say it all, and a phone has no room to spare.
        showscale=num_classes > MOST_WITH_NUMBERS,
        hoverinfo="skip",
        xgap=1 if num_classes <= MOST_NAMED else 0,
        ygap=1 if num_classes <= MOST_NAMED else 0,
        **options,
    )


def _numbers(texts: Sequence[Sequence[str]], is_strong_KK: NDArray[np.bool_]) -> list[go.Scatter]:
    """Returns the numbers in the cells: white where the colour is strong, else as all text is.

    Plotly's own choice takes a faint cell for a light one, which in the dark it is not.
    """
    if len(texts) > MOST_WITH_NUMBERS:
        return []
    layers = []
    for is_strong, font in ((True, {"color": "white"}), (False, {})):
        cells = [
            (row, column)
            for row, line in enumerate(texts)
            for column, text in enumerate(line)
            if text and bool(is_strong_KK[row, column]) == is_strong
        ]
        layers.append(
            go.Scatter(
                x=[column for _, column in cells],
                y=[row for row, _ in cells],
                text=[texts[row][column] for row, column in cells],
                mode="text",
                textfont=font,
                # Never used, as only the points below are clicked; but without it a click would
                # fade all numbers.
                selected={"textfont": {"color": "white"}},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    return layers


def _colour_bar(title: str, form: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "side": "right"},
        "tickformat": form,
        "len": 0.9,
        "thickness": 8,
    }


def _targets(
    counts_KK: NDArray[np.int64],
    classes: Sequence[str],
    told: Callable[[str, str, Cell], str],
) -> go.Scatter:
    """Returns points that nobody sees, one on each cell with images.

    A heatmap tells of no click, points do, and of what is nearest to the pointer.
    """
    cells = [(int(row), int(column)) for row, column in np.argwhere(counts_KK)]
    shown = [letter_by_letter(name) for name in classes]
    return go.Scatter(
        x=[column for _, column in cells],
        y=[row for row, _ in cells],
        customdata=[[classes[row], classes[column]] for row, column in cells],
        text=[told(shown[row], shown[column], (row, column)) for row, column in cells],
        hovertemplate="%{text}<extra></extra>",
        mode="markers",
        marker={"size": 22, "symbol": "square", "opacity": 0.0},
        selected={"marker": {"opacity": 0.0}},
        unselected={"marker": {"opacity": 0.0}},
        showlegend=False,
    )


def _figure(
    heatmap: go.Heatmap, numbers: list[go.Scatter], targets: go.Scatter, classes: Sequence[str]
) -> go.Figure:
    num = len(classes)
    # Ticks by number, so that classes called 0 to 9 are names as well.
    step = 1 if num <= MOST_NAMED else -(-num // MOST_NAMED)
    ticks = {
        "tickvals": list(range(0, num, step)),
        "ticktext": [_short(name) for name in classes[::step]],
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
    }
    is_large = num > MOST_WITH_NUMBERS
    figure = go.Figure([heatmap, *numbers, targets])
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        height=min(820, max(340, 130 + 30 * num)),
        hovermode="closest",
        dragmode=False,
        clickmode="event+select",
        xaxis=ticks
        | {
            "title": "class that was named" + (", in the same order" if is_large else ""),
            "tickangle": -45,
            "range": [-0.5, num - 0.5],
            # Many names across would lie over each other.
            "showticklabels": not is_large,
        },
        yaxis={"title": "true class", "range": [num - 0.5, -0.5]} | ticks,
    )
    return figure


def _short(name: str) -> str:
    if len(name) > LONGEST_NAME:
        name = name[: LONGEST_NAME - 1] + "…"
    return letter_by_letter(name)

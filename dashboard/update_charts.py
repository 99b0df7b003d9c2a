"""Charts of updates: old accuracy against new, and both epoch by epoch, as pure functions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.charts import letter_by_letter
from dashboard.confusion_charts import Scale, confusion_figure
from engine.insight.intervals import Estimate
from engine.insight.thinning import kept_places
from engine.insight.update_images import Blocks

GREY = "#8a929c"
# What a name on the chart takes, as a share of a chart on a phone.
LETTER, LINE = 0.024, 0.055
# Where a name can stand beside its point, the better first: Plotly's word, and its middle's place.
PLACES = (
    ("top center", 0.0, 1.0),
    ("bottom center", 0.0, -1.0),
    ("middle right", 1.0, 0.0),
    ("middle left", -1.0, 0.0),
    ("top right", 1.0, 1.0),
    ("bottom left", -1.0, -1.0),
    ("top left", -1.0, 1.0),
    ("bottom right", 1.0, -1.0),
)


@dataclass(frozen=True)
class Standing:
    """Where one way to update stands.

    Attributes:
        name: short, on the chart.
        label: in full.
        colour: of its points.
        runs: accuracy on the new and on the old images (fractions), one pair a run.
        new: mean over its runs, with its interval.
        old: likewise.
    """

    name: str
    label: str
    colour: str
    runs: tuple[tuple[float, float], ...]
    new: Estimate
    old: Estimate


@dataclass(frozen=True)
class Epochs:
    """One run's accuracy on images of one kind.

    Attributes:
        name: of the way to update, which runs with other seeds share.
        colour: of the way.
        points: (epoch, fraction), the model before the update at epoch 0.
        kept: what the kept model gets where it is a blend and no epoch's.
    """

    name: str
    colour: str
    points: tuple[tuple[int, float], ...]
    kept: float | None = None


def old_new_figure(standings: Sequence[Standing], before: tuple[float, float]) -> go.Figure:
    """Returns accuracy on old images against that on new ones: a point a run, further up is better.

    Args:
        standings: one a way to update.
        before: of the model that was updated, on the new and on the old images.
    """
    figure = go.Figure()
    spans = _ranges(standings, before)
    means = [before, *((one.new.value, one.old.value) for one in standings)]
    places = _name_places(means, ["before", *(one.name for one in standings)], spans)
    figure.add_hline(y=before[1], line={"color": GREY, "width": 1.4, "dash": "dash"})
    _add_before(figure, before, places[0])
    for one, place in zip(standings, places[1:], strict=True):
        _add_standing(figure, one, place)
    figure.update_layout(
        showlegend=False,
        height=430,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        hovermode="closest",
        xaxis=_axis("share of new images right", spans[0]),
        yaxis=_axis("share of old images right", spans[1]),
    )
    return figure


def _axis(title: str, span: tuple[float, float]) -> dict[str, object]:
    return {"title": title, "range": list(span), "tickformat": ".1~%", "automargin": True}


def _add_before(figure: go.Figure, before: tuple[float, float], place: str) -> None:
    figure.add_scatter(
        x=[before[0]],
        y=[before[1]],
        text=["before"],
        name="before",
        mode="markers+text",
        textposition=place,
        marker={"size": 13, "symbol": "x-thin", "line": {"width": 3, "color": GREY}},
        hovertemplate="before the update: %{x:.1%} of the new images, %{y:.1%} of the old"
        "<extra></extra>",
    )


def _add_standing(figure: go.Figure, one: Standing, place: str) -> None:
    if len(one.runs) > 1:
        figure.add_scatter(
            x=[new for new, _ in one.runs],
            y=[old for _, old in one.runs],
            name=one.name,
            mode="markers",
            marker={"size": 6, "color": one.colour, "opacity": 0.55},
            hovertemplate=_told(one, "one run"),
        )
    figure.add_scatter(
        x=[one.new.value],
        y=[one.old.value],
        text=[letter_by_letter(one.name)],
        name=one.name,
        mode="markers+text",
        textposition=place,
        marker={"size": 12, "color": one.colour, "line": {"width": 1, "color": "white"}},
        error_x=_bars(one.new, one.colour),
        error_y=_bars(one.old, one.colour),
        hovertemplate=_told(one, f"mean of {len(one.runs)} runs" if len(one.runs) > 1 else ""),
    )


def _told(one: Standing, of: str) -> str:
    what = f"{letter_by_letter(one.label)}{', ' if of else ''}{of}"
    return f"{what}: %{{x:.1%}} of the new images, %{{y:.1%}} of the old<extra></extra>"


def _bars(one: Estimate, colour: str) -> dict[str, object]:
    # Faint, as with ten of them the points are what is to be seen.
    return {
        "type": "data",
        "array": [one.high - one.value],
        "arrayminus": [one.value - one.low],
        "thickness": 0.8,
        "width": 0,
        "color": _faint(colour),
    }


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.4)"


def _ranges(
    standings: Sequence[Standing], before: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Returns what the axes show: all points with some room for their names."""

    def span(values: Sequence[float]) -> tuple[float, float]:
        low, high = min(values), max(values)
        room = max(0.12 * (high - low), 0.03)
        return low - room, high + room

    news = [before[0], *(new for one in standings for new, _ in one.runs)]
    olds = [before[1], *(old for one in standings for _, old in one.runs)]
    return span(news), span(olds)


def _name_places(
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    spans: tuple[tuple[float, float], tuple[float, float]],
) -> list[str]:
    """Returns where names stand so that they lie over as few others and as few points as can be."""
    (x_low, x_high), (y_low, y_high) = spans
    at = [((x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)) for x, y in points]
    taken = [(x - 0.02, y - 0.02, x + 0.02, y + 0.02) for x, y in at]
    found = []
    for (x, y), name in zip(at, names, strict=True):
        boxes = [(place, _box(x, y, name, dx, dy)) for place, dx, dy in PLACES]
        place, box = min(boxes, key=lambda one: sum(_overlaps(one[1], taken)))
        taken.append(box)
        found.append(place)
    return found


def _box(x: float, y: float, name: str, dx: float, dy: float) -> tuple[float, float, float, float]:
    width = LETTER * len(name)
    middle = x + dx * (width / 2 + 0.03), y + dy * (LINE / 2 + 0.03)
    half = width / 2, LINE / 2
    return middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]


def _overlaps(
    box: tuple[float, float, float, float], taken: Sequence[tuple[float, float, float, float]]
) -> Iterator[float]:
    """Yields how much of a box each other covers, and how much of it lies outside the chart."""
    left, low, right, high = box
    for other in taken:
        wide = min(right, other[2]) - max(left, other[0])
        tall = min(high, other[3]) - max(low, other[1])
        yield max(0.0, wide) * max(0.0, tall)
    yield max(0.0, -left) + max(0.0, right - 1) + max(0.0, -low) + max(0.0, high - 1)


def epochs_figure(lines: Sequence[Epochs], before: float | None, y_title: str) -> go.Figure:
    """Returns accuracy on images of one kind against epochs, a line a run.

    Args:
        lines: one a run.
        before: of the model that was updated, drawn as a dashed line; None where it is not known.
        y_title: what is counted.
    """
    figure = go.Figure()
    if before is not None:
        figure.add_hline(y=before, line={"color": GREY, "width": 1.6, "dash": "dash"})
    named: set[str] = set()
    for one in lines:
        _add_epochs(figure, one, is_first=one.name not in named)
        named.add(one.name)
    figure.update_layout(
        height=340,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={"title": "epochs", "rangemode": "tozero", "automargin": True},
        yaxis={"title": y_title, "tickformat": ".1~%", "automargin": True},
    )
    return figure


def _add_epochs(figure: go.Figure, one: Epochs, is_first: bool) -> None:
    ys = [y for _, y in one.points]
    kept = kept_places([ys])
    name = letter_by_letter(one.name)
    figure.add_scatter(
        x=[one.points[place][0] for place in kept],
        y=[ys[place] for place in kept],
        name=name,
        legendgroup=one.name,
        showlegend=is_first,
        mode="lines+markers",
        line={"color": one.colour, "width": 2},
        marker={"size": 5},
        hovertemplate=f"{name}, epoch %{{x}}: %{{y:.1%}}<extra></extra>",
    )
    if one.kept is None:
        return
    figure.add_scatter(
        x=[one.points[-1][0]],
        y=[one.kept],
        name=f"{name}, kept blend",
        legendgroup=one.name,
        showlegend=False,
        mode="markers",
        marker={"size": 11, "color": one.colour, "symbol": "diamond"},
        hovertemplate=f"{name}, the blend that was kept: %{{y:.1%}}<extra></extra>",
    )


def blocks_figure(
    blocks: Blocks, classes: Sequence[str], colour: str, scale: Scale = "images"
) -> go.Figure:
    """Returns a confusion matrix in which old and new classes are set apart.

    Args:
        blocks: the counts.
        classes: names, the old ones first.
        colour: of the run.
        scale: what the cells say.
    """
    named = [
        f"{name} (new)" if place >= blocks.num_old else name for place, name in enumerate(classes)
    ]
    figure = confusion_figure(blocks.counts_KK, named, colour, scale)
    if blocks.num_old < len(classes):
        line = {"color": GREY, "width": 2}
        figure.add_vline(x=blocks.num_old - 0.5, line=line)
        figure.add_hline(y=blocks.num_old - 0.5, line=line)
    return figure

"""What the linked maps show, as plain data: panels, classes, colours and answers."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dashboard.palette import CLASS_COLOURS, OTHER_CLASSES
from dashboard.runs import percent
from engine.insight.embedding import Embedding, Plane
from engine.insight.images import Answer, JudgedImage

SHAPES = ("circle", "square")
MOST_COLOURED = len(CLASS_COLOURS) * len(SHAPES)


class SharedImages:
    """The images that the embeddings of one or two runs have in common.

    Attributes:
        images: in the order of the first, with an answer a run.
        rows: of each embedding, the positions of these images in it.
    """

    def __init__(self, found: Sequence[Embedding]):
        """Takes embeddings; an image is known by its content and its class."""
        tables = [
            {(one.digest, one.label): row for row, one in enumerate(each.images)} for each in found
        ]
        shared = [key for key in tables[0] if all(key in table for table in tables)]
        self.rows = [[table[key] for key in shared] for table in tables]
        self.images = [
            JudgedImage(first.path, first.digest, first.label, self._answers(found, at))
            for at, first in enumerate(found[0].images[row] for row in self.rows[0])
        ]

    def _answers(self, found: Sequence[Embedding], at: int) -> tuple[Answer, ...]:
        pairs = zip(found, self.rows, strict=True)
        return tuple(each.images[rows[at]].answers[0] for each, rows in pairs)


def embedding_maps(
    found: Sequence[Embedding],
    names: Sequence[str],
    shared: SharedImages,
    chosen: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns what the component needs to draw one or two runs before and after training.

    Args:
        found: an embedding a run, of one method.
        names: of the runs.
        shared: their images.
        chosen: classes that are to have a colour, where there are more classes than colours.
    """
    images = shared.images
    classes = sorted({one.label for one in images} | _named(images))
    number = {name: place for place, name in enumerate(classes)}
    groups, group_of = _groups([one.label for one in images], chosen)
    return {
        "panels": _panels(found, names, shared),
        "groups": groups,
        "group": [group_of[one.label] for one in images],
        "classes": classes,
        "labels": [number[one.label] for one in images],
        "pictures": {
            "run": found[0].run_id,
            "places": [found[0].places[row] for row in shared.rows[0]],
        },
        "answers": [
            {
                "name": name,
                "named": [number[one.answers[run].named] for one in images],
                "percent": [round(100 * one.answers[run].probability) for one in images],
            }
            for run, name in enumerate(names)
        ],
    }


def _named(images: Sequence[JudgedImage]) -> set[str]:
    return {answer.named for image in images for answer in image.answers}


def _groups(
    labels: Sequence[str], chosen: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Returns classes with colour and shape, the rest as one, and the place of each class.

    Without a choice those have a colour that have most images. The same classes have the same
    colours, whatever is selected.
    """
    counts = Counter(labels)
    by_rank = sorted(counts, key=lambda name: (name not in chosen, -counts[name], name))
    coloured = sorted(by_rank[:MOST_COLOURED])
    groups: list[dict[str, Any]] = [
        {
            "name": name,
            "colour": CLASS_COLOURS[place % len(CLASS_COLOURS)],
            "shape": SHAPES[place // len(CLASS_COLOURS)],
            "count": counts[name],
        }
        for place, name in enumerate(coloured)
    ]
    places = {name: place for place, name in enumerate(coloured)}
    rest = by_rank[MOST_COLOURED:]
    if rest:
        count = sum(counts[name] for name in rest)
        name = f"{len(rest)} other classes" if len(rest) > 1 else rest[0]
        groups.append({"name": name, "colour": OTHER_CLASSES, "shape": "circle", "count": count})
    return groups, places | dict.fromkeys(rest, len(coloured))


def _panels(
    found: Sequence[Embedding], names: Sequence[str], shared: SharedImages
) -> list[dict[str, Any]]:
    """Returns one map of before where both runs started alike, else one a run; then the others."""
    same_start = all(_same_before(found, shared, run) for run in range(len(found)))
    panels = []
    for run in range(1 if same_start else len(found)):
        whose = "" if same_start else f": {names[run]}"
        note = f"What the training started from: {found[run].started_from}. No class was named yet."
        panels.append(
            _panel(f"before.{run}", f"Before{whose}", note, found[run].before, shared.rows[run])
            | {"wrong": None}
        )
    for run, (one, name) in enumerate(zip(found, names, strict=True)):
        wrong = [int(not image.answers[run].is_right) for image in shared.images]
        right = f"{len(wrong) - sum(wrong):,} of {len(wrong):,} right."
        note = right if one.has_moved else f"{right} Its backbone was left as it was: the same map."
        panels.append(
            _panel(f"after.{run}", f"After: {name}", note, one.after, shared.rows[run])
            | {"wrong": wrong}
        )
    return panels


def _same_before(found: Sequence[Embedding], shared: SharedImages, run: int) -> bool:
    first, other = ([found[one].before.points[row] for row in shared.rows[one]] for one in (0, run))
    return first == other


def _panel(key: str, title: str, note: str, plane: Plane, rows: Sequence[int]) -> dict[str, Any]:
    is_pca = len(plane.shares) > 1
    ordinals = ("1st", "2nd")
    axes = [
        f"{ordinal} component, {percent(share)} of the variance"
        for ordinal, share in zip(ordinals, plane.shares, strict=False)
    ]
    x_title, y_title = axes if is_pca else ("t-SNE, no unit", "t-SNE, no unit")
    return {
        "key": key,
        "title": title,
        "note": note,
        "x": [round(plane.points[row][0], 5) for row in rows],
        "y": [round(plane.points[row][1], 5) for row in rows],
        "xTitle": x_title,
        "yTitle": y_title,
        "ticks": is_pca,
    }

"""Which classes are taken for which, and how well each class is known."""

import numpy as np
from numpy.typing import NDArray

from dashboard.confusion_charts import confusion_figure
from dashboard.report.blocks import Block, Chart, Section, Table, Words
from dashboard.report.comparison import Comparison
from dashboard.words import colour_of, label_of
from engine.training.predictions import Predictions, confusion_matrix

# A matrix of more classes cannot be read.
MOST_CLASSES = 40
# Rows of a table of the most frequent confusions.
CONFUSIONS = 12
CELLS = 12


def confusion_section(comparison: Comparison) -> Section | None:
    """Returns a confusion matrix a run."""
    found = comparison.predictions()
    if not found:
        return None
    blocks: list[Block] = [
        Words("Validation images in each run's best epoch; the diagonal is right.", "note")
    ]
    for one, predictions, manifest in found[: comparison.detail.matrices]:
        counts_KK = confusion_matrix(predictions)
        title = f"{label_of(one.run)}, epoch {predictions.epoch}"
        table = _confusions(title, counts_KK, manifest.classes)
        if len(manifest.classes) > MOST_CLASSES:
            blocks.append(table)
            continue
        figure = confusion_figure(counts_KK, manifest.classes, colour_of(one.run))
        figure.update_xaxes(showgrid=False).update_yaxes(showgrid=False)
        right = int(np.trace(counts_KK))
        alt = (
            f"Confusion matrix of {label_of(one.run)}: {right:,} of {int(counts_KK.sum()):,} "
            "images right"
        )
        blocks.append(Chart(title, figure, alt, table))
    if len(found) > comparison.detail.matrices:
        rest = len(found) - comparison.detail.matrices
        blocks.append(Words(f"{rest} more runs have a matrix, which is left out here.", "note"))
    return Section("Which classes are taken for which", blocks)


def _confusions(title: str, counts_KK: NDArray[np.int64], classes: tuple[str, ...]) -> Table:
    """Returns the whole matrix where it is small, else its most frequent confusions."""
    if len(classes) <= CELLS:
        rows = tuple(
            (name, *(f"{count:,}" for count in row_K))
            for name, row_K in zip(classes, counts_KK.tolist(), strict=True)
        )
        heading = f"{title}: true class by row, predicted class by column"
        columns = ("", *classes)
        return Table(heading, columns, rows, frozenset(range(1, len(columns))))
    wrong_KK = counts_KK * (1 - np.eye(len(classes), dtype=np.int64))
    places = [divmod(int(p), len(classes)) for p in np.argsort(-wrong_KK, axis=None)[:CONFUSIONS]]
    rows = tuple(
        (classes[true], classes[named], f"{wrong_KK[true, named]:,}")
        for true, named in places
        if wrong_KK[true, named]
    )
    heading = f"{title}: the most frequent confusions"
    return Table(heading, ("class", "taken for", "images"), rows, frozenset({2}))


def classes_section(comparison: Comparison) -> Section | None:
    """Returns recall, precision and F1 of each class, a table a list of classes."""
    found = comparison.predictions()
    if not found:
        return None
    by_classes: dict[tuple[str, ...], list[tuple[str, Predictions]]] = {}
    for one, predictions, manifest in found:
        by_classes.setdefault(manifest.classes, []).append((label_of(one.run), predictions))
    tables = [_class_table(classes, told) for classes, told in by_classes.items()]
    words = (
        "Recall: of the images of the class, those that were found. Precision: of those that were "
        "taken for it, those that are. F1 weighs both."
    )
    return Section("Class by class", (Words(words, "note"), *tables))


def _class_table(classes: tuple[str, ...], told: list[tuple[str, Predictions]]) -> Table:
    scores = [_scores(predictions, len(classes)) for _, predictions in told]
    images_K = np.bincount(told[0][1].labels_N, minlength=len(classes))
    rows = tuple(
        (
            name,
            f"{images_K[place]:,}",
            *(_cell(of_run, place) for of_run in scores),
        )
        for place, name in enumerate(classes)
    )
    columns = ("class", "images", *(label for label, _ in told))
    title = "Recall / precision / F1 of each class, in percent"
    return Table(title, columns, rows, frozenset(range(1, len(columns))))


def _scores(predictions: Predictions, num_classes: int) -> NDArray[np.float64]:
    """Returns recall, precision and F1 (3, K), fractions; not a number where nothing is known."""
    # Takes a second to import, and pages need it only once a report is made.
    from sklearn.metrics import precision_recall_fscore_support

    precision_K, recall_K, f1_K, _ = precision_recall_fscore_support(
        predictions.labels_N,
        predictions.predicted_N,
        labels=np.arange(num_classes),
        zero_division=np.nan,
    )
    return np.stack([recall_K, precision_K, f1_K])


def _cell(scores_3K: NDArray[np.float64], place: int) -> str:
    values = scores_3K[:, place].tolist()
    return " / ".join("–" if np.isnan(value) else f"{100 * value:.0f}" for value in values)

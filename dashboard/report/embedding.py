"""Whether training brought images nearer to their class, as far as that was worked out before."""

from dashboard.report.blocks import Section, Table, Words
from dashboard.report.comparison import Comparison
from dashboard.report.results import interval_of
from dashboard.words import label_of
from engine.insight.embedding import METHODS, Embedding, known_embedding, why_not_embed
from engine.runs.store import Run

EXPLAINED = (
    "Share of validation images whose five nearest neighbours, in the space of all features, speak "
    "for their class: as the backbone saw them before training, and after."
)
COLUMNS = ("run", "images", "before", "after", "more")


def embedding_section(comparison: Comparison) -> Section | None:
    """Returns the shares of images among their own class, before and after."""
    found = [
        (one.run, embedding)
        for one in comparison.reports
        if (embedding := _embedding(one.run)) is not None
    ]
    if not found:
        return None
    rows = tuple(
        (
            label_of(run),
            f"{len(one.images):,}",
            interval_of(one.before.neighbours),
            interval_of(one.after.neighbours),
            interval_of(one.more_neighbours),
        )
        for run, one in found
    )
    table = Table("Images among their own class", COLUMNS, rows, frozenset({1, 2, 3, 4}))
    return Section("Embedding", [Words(EXPLAINED, "note"), table])


def _embedding(run: Run) -> Embedding | None:
    """Returns what is known of a run; the numbers do not depend on the method."""
    if why_not_embed(run):
        return None
    return next((one for method in METHODS if (one := known_embedding(run, method))), None)

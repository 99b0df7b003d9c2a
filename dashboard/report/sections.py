"""The sections of a report, in order.

Each is a function of a Comparison that returns a Section, or None where there is nothing to say.
Another one needs a line in SECTIONS and nothing else.
"""

from collections.abc import Callable

from dashboard.report.blocks import Section
from dashboard.report.classes import classes_section, confusion_section
from dashboard.report.comparison import Comparison
from dashboard.report.costs import costs_section, learning_section
from dashboard.report.curves import curves_section
from dashboard.report.embedding import embedding_section
from dashboard.report.images import images_section
from dashboard.report.layers import layers_section
from dashboard.report.results import pairs_section, results_section, verdict_section
from dashboard.report.setup import reproduce_section, settings_section, setup_section
from dashboard.report.shift import shift_section

SECTIONS: tuple[Callable[[Comparison], Section | None], ...] = (
    verdict_section,
    results_section,
    pairs_section,
    costs_section,
    learning_section,
    curves_section,
    confusion_section,
    classes_section,
    images_section,
    shift_section,
    layers_section,
    embedding_section,
    settings_section,
    setup_section,
    reproduce_section,
)


def sections_of(comparison: Comparison) -> list[Section]:
    """Returns what there is to say, in order."""
    made = (section(comparison) for section in SECTIONS)
    return [section for section in made if section is not None]

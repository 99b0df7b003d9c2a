"""What accuracy costs: time, parameters and memory, with the Pareto front of each."""

from collections.abc import Sequence

import streamlit as st

from dashboard.cost_charts import cost_figure
from dashboard.runs import colour_of
from dashboard.show import show_chart
from dashboard.verdict_section import name_of
from dashboard.words import way_name
from engine.insight.cost import Front, cost_fronts
from engine.insight.experiment import Pair, Way
from engine.insight.verdicts import cautions

HEADINGS = {
    "seconds": "Accuracy against seconds",
    "parameters": "Accuracy against trained parameters",
    "memory": "Accuracy against peak memory",
}
NOTES = {
    "seconds": "Seconds on the clock of this machine, whatever else it did meanwhile; what a run "
    "found in the cache is counted as if it had computed it.",
    "parameters": "Parameters that learn at any time of the run, the head's among them.",
    "memory": "Most memory that a run held: of the GPU, or of its process where it computes on the "
    "processor.",
}


def cost_section(page: str, ways: Sequence[Way], pairs: Sequence[Pair]) -> None:
    """Shows accuracy against each cost, with who is on the front and who is beaten by whom.

    Args:
        page: prefix of the state keys.
        ways: of training, as far as they were judged.
        pairs: of them.
    """
    if not ways:
        st.info(
            "No run here has been judged yet; costs appear with the first completed epoch.",
            icon=":material/timer:",
        )
        return
    st.caption(
        "A way of training is on the front where no other is at least as accurate for at most as "
        "much. Bars: 95 % intervals, over images for accuracy and over seeds where there are "
        "several. Hollow: beaten."
    )
    for caution in cautions(ways, name_of):
        st.caption(caution)
    # Row by row, so that a phone shows them in this order, too.
    fronts = cost_fronts(ways, pairs)
    for first in range(0, len(fronts), 2):
        for front, column in zip(fronts[first : first + 2], st.columns(2), strict=False):
            with column:
                _show(page, front)


def _show(page: str, front: Front) -> None:
    st.subheader(HEADINGS[front.cost.name], anchor=False, help=NOTES[front.cost.name])
    st.markdown(front.sentence(name_of))
    if front.unknown:
        names = ", ".join(name_of(way) for way in front.unknown)
        st.caption(f"Left out, since its {front.cost.label} is not known: {names}.")
    if front.points:
        figure = cost_figure(front, lambda way: colour_of(way.reports[0].run), way_name)
        show_chart(
            figure,
            key=f"{page}.cost.{front.cost.name}",
            name=f"accuracy against {front.cost.label}",
        )

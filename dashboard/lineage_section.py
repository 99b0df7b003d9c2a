"""Where a model comes from and what became of it: its lineage, and accuracy on every batch."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.lineage_charts import matrix_figure
from dashboard.lineage_picture import lineage_picture
from dashboard.runs import label_of, plain, store
from dashboard.show import csv_button, show_chart
from engine.errors import ThawError
from engine.insight.forgetting import DEFINITIONS, Continual
from engine.update.adopting import Standing, standing_of
from engine.update.lineage import Family
from engine.update.matrix import Matrix, matrix_of

STYLE = Path(__file__).with_name("lineage_picture.css")


def lineage_section(run_id: str, page: str = "update") -> None:
    """Shows the lineage of a run as a picture, and accuracy on every batch as a matrix.

    Args:
        run_id: of any of its runs.
        page: prefix of the state keys.
    """
    st.html(STYLE)
    standing = standing_of(store(), run_id)
    family = standing.family
    last = _last(page, family, run_id)
    in_use = standing.in_use if standing.record else None
    chain = [one.key for one in family.chain(last)]
    picture, numbers = st.columns(2, gap="large")
    with picture:
        st.html(lineage_picture(family, chain, in_use, run_id))
        _say_what_it_is(standing)
        for sentence in family.notes:
            st.caption(f":material/info: {plain(sentence)}")
    with numbers:
        matrix = _numbers(page, family, last)
    if matrix is not None:
        _metrics(matrix.metrics)
        _table(page, family, last, matrix)


def _numbers(page: str, family: Family, last: str) -> Matrix | None:
    """Shows accuracy on every batch, or says why there is none, and returns it."""
    if len(family.members) == 1:
        st.info(
            "No update yet. Once this model is updated with new images, each update is drawn below "
            "the model that it updates, with accuracy on every batch so far: what was learnt, and "
            "what was forgotten.",
            icon=":material/account_tree:",
        )
        return None
    try:
        matrix = matrix_of(family.chain(last))
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    _matrix(page, family, last, matrix)
    return matrix


def _last(page: str, family: Family, run_id: str) -> str:
    """Returns the model at which the chain ends whose numbers are shown, as a person picks it."""
    default = run_id if family.members[run_id].parent else family.newest(run_id).key
    ends = [one.key for one in family.members.values() if one.run is not None and one.parent]
    if len(ends) < 2:
        return default
    labels = {one.key: label_of(one.run) for one in family.members.values() if one.run is not None}
    return str(
        st.selectbox(
            "Follow the lineage down to",
            ends,
            index=ends.index(default) if default in ends else 0,
            format_func=lambda key: labels[key],
            help="The update at which the matrix below ends: every model from the first to it is a "
            "row.",
            key=f"{page}.lineage.{run_id}",
        )
    )


def _say_what_it_is(standing: Standing) -> None:
    said = "Each model stands below the one that it updates. Cold colours: its backbone stays "
    said += "frozen; warm ones: it moves."
    if standing.record and standing.in_use not in standing.family.members:
        said += f" In use is {plain(standing.in_use)}, which is not here any more."
    elif not standing.record:
        said += " No update was adopted yet, so the first model is in use."
    st.caption(said)


def _matrix(page: str, family: Family, last: str, matrix: Matrix | None) -> None:
    name = family.members[last].name
    st.markdown("**Accuracy on every batch so far**")
    if matrix is None:
        st.info(
            f"{plain(name)} and the models before it have judged nothing yet; the numbers are here "
            "once the first has ended.",
            icon=":material/hourglass_empty:",
        )
        return
    st.caption(
        "Down: the model after each update. Across: the validation images that came with each "
        "batch. Reading a column down shows whether a batch is forgotten; in brackets is what a "
        "model told right of a batch before it learnt from it."
    )
    show_chart(
        matrix_figure(matrix), key=f"{page}.lineage.matrix.{last}", name=_title(family, last)
    )
    for sentence in matrix.notes:
        st.caption(f":material/info: {plain(sentence)}")


def _title(family: Family, last: str) -> str:
    return f"accuracy on every batch up to {family.members[last].name} {last[:4]}"


def _table(page: str, family: Family, last: str, matrix: Matrix) -> None:
    with st.expander("As a table", icon=":material/table:"):
        st.dataframe(_frame(matrix), hide_index=True, key=f"{page}.lineage.table.{last}")
        csv_button(lambda: _frame(matrix), f"{page}.lineage.csv.{last}", _title(family, last))


def _metrics(metrics: Continual | None) -> None:
    if metrics is None:
        return
    for column, definition in zip(st.columns(len(DEFINITIONS)), DEFINITIONS, strict=True):
        value = getattr(metrics, definition.name)
        with column, st.container(border=True, height="stretch"):
            sign = "" if definition.unit == "%" else "+"
            number = "–" if value is None else f"{100 * value:{sign}.1f} {definition.unit}"
            st.metric(definition.label, number)
            st.markdown(
                "It takes two batches that all models were judged on."
                if value is None
                else definition.meaning(value)
            )
            st.caption(f"{definition.sentence} ({definition.source})")


def _frame(matrix: Matrix) -> pd.DataFrame:
    """Returns the matrix as a table, accuracies as fractions."""
    columns = [f"{place + 1} {batch.name}" for place, batch in enumerate(matrix.batches)]
    return pd.DataFrame(
        [
            {"model": model.name or "not here", **dict(zip(columns, row, strict=True))}
            for model, row in zip(matrix.models, matrix.rows, strict=True)
        ]
    )

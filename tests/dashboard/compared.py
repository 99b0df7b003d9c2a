"""A pair of runs on the Compare page, and what is read from it."""

import json
from typing import Any

from pandas import DataFrame
from streamlit.testing.v1 import AppTest

from engine.runs.store import Run, Store
from tests.dashboard.made import add_pair, finish


def finished_pair(
    store: Store, frozen: tuple[float, ...] = (0.5, 0.7), full: tuple[float, ...] = (0.4, 0.8)
) -> tuple[Run, Run]:
    one, other = add_pair(store)
    return finish(store, one, frozen), finish(store, other, full)


def results(page: AppTest) -> DataFrame:
    """Returns the table of results, by run."""
    table: DataFrame = page.dataframe[0].value.set_index("run")
    return table


def settings(page: AppTest) -> DataFrame:
    """Returns the table of settings, by setting."""
    table: DataFrame = page.dataframe[-1].value.set_index("setting")
    return table


def estimates(page: AppTest) -> DataFrame:
    """Returns the table of numbers with their intervals."""
    table: DataFrame = page.dataframe[1].value
    return table


def figures(page: AppTest) -> dict[str, Any]:
    """Returns the charts by the end of their keys, such as `accuracy.epochs`."""
    shown = {
        one.proto.id.rpartition("-compare.")[2]: one.proto.spec for one in page.get("plotly_chart")
    }
    return {key: json.loads(spec) for key, spec in shown.items()}

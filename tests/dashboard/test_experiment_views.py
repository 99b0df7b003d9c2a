"""Compare's views of experiments: mean curves, cost, learning curves; and how one is started."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.band_charts import WayCurve, band_figure
from dashboard.cost_charts import cost_figure
from dashboard.learning_charts import learning_figure
from engine.insight.compare import report
from engine.insight.cost import cost_fronts
from engine.insight.experiment import ways_of
from engine.insight.learning_curve import learning_curves
from engine.runs.experiment import FRACTIONS
from engine.runs.store import Run, Store
from engine.spec import Act
from tests.dashboard.made import add_run, finish
from tests.dashboard.pages import choose, open_page, start_button, text_of
from tests.pretend import act_event

pytestmark = pytest.mark.usefixtures("small_sample")


def add_ways(
    store: Store,
    fractions: Sequence[float] = (1.0,),
    seeds: int = 3,
    folder: Path = Path("/photos"),
) -> list[Run]:
    """Returns frozen and full runs over seeds and shares; full is the better one throughout."""
    return [
        finish(
            store,
            add_run(
                store,
                strategy,
                seed=seed,
                data={"folder": str(folder), "train_fraction": fraction},
            ),
            (best - 0.2, best - 0.01 * seed),
            fingerprint=f"share {fraction}",
        )
        for fraction in fractions
        for strategy, best in (("frozen", 0.6), ("full", 0.95))
        for seed in range(seeds)
    ]


def ids(runs: Sequence[Run]) -> list[str]:
    return [run.id for run in runs]


def figures(page: AppTest) -> dict[str, Any]:
    shown = page.get("plotly_chart")
    return {one.proto.id.rpartition("-compare.")[2]: json.loads(one.proto.spec) for one in shown}


def numbers(values: Any) -> list[float]:
    """Returns what Plotly sends as a list or as bytes."""
    if isinstance(values, list):
        return values
    found: list[float] = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).tolist()
    return found


def button(page: AppTest, key: str) -> Any:
    [found] = [one for one in page.button if one.key == key]
    return found


# ---- Overview


def test_several_seeds_are_one_curve_with_a_band(store: Store) -> None:
    page = open_page("compare", ids(add_ways(store)))
    traces = figures(page)["accuracy.epochs"]["data"]
    lines = [one for one in traces if one.get("fill") != "toself"]
    assert [one["name"] for one in lines] == ["Frozen", "Full"]
    assert numbers(lines[0]["y"]) == pytest.approx([0.4, 0.59])
    assert len(traces) == 4
    assert "Band: 95 % interval of the mean (3 runs)" in text_of(page)


def test_of_two_seeds_the_band_is_what_lies_between(store: Store) -> None:
    page = open_page("compare", ids(add_ways(store, seeds=2)))
    assert "Band: least to greatest of the two (2 runs)" in text_of(page)
    band, *_ = figures(page)["accuracy.epochs"]["data"]
    assert sorted(numbers(band["y"])) == pytest.approx([0.4, 0.4, 0.59, 0.6])


def test_single_runs_can_be_switched_on(store: Store) -> None:
    page = choose(open_page("compare", ids(add_ways(store))), "compare.single_runs", True)
    assert len(figures(page)["accuracy.epochs"]["data"]) == 12


def test_the_table_has_parameters_and_memory_with_its_interval(store: Store) -> None:
    page = open_page("compare", ids(add_ways(store)))
    table = page.dataframe[1].value.set_index("way of training")
    assert table.loc["Full", "parameters trained"] == "3,374,851"
    assert table.loc["Full", "peak memory"] == "512 MiB (512 to 512)"


# ---- Cost


def test_cost_shows_the_front_and_says_it(store: Store) -> None:
    page = open_page("compare", ids(add_ways(store)), view="Cost")
    assert list(figures(page)) == ["cost.seconds", "cost.parameters", "cost.memory"]
    written = text_of(page)
    assert "On the front are **Frozen** and **Full**: none of them is beaten in both." in written
    assert "more than chance" in written
    by_name = {one["name"]: one for one in figures(page)["cost.parameters"]["data"]}
    assert by_name["Full"]["error_y"]["visible"]
    assert by_name["Full"]["marker"]["symbol"] == "circle"
    assert figures(page)["cost.parameters"]["layout"]["xaxis"]["type"] == "log"


def test_a_beaten_way_is_hollow(store: Store) -> None:
    runs = add_ways(store)
    found = ways_of([report(store, run) for run in runs])
    [seconds, *_] = cost_fronts(found, [])
    traces = {one.name: one for one in cost_figure(seconds, lambda way: "#112233").data}
    assert traces["Frozen"].marker.symbol == "circle-open"
    assert "beaten" in traces["Frozen"].hovertemplate
    assert traces["Full"].marker.symbol == "circle"


def test_cost_before_anything_was_judged_says_so(store: Store) -> None:
    written = text_of(open_page("compare", [add_run(store).id], view="Cost"))
    assert "No run here has been judged yet" in written


# ---- Learning curve


def test_one_click_queues_what_is_missing(store: Store, tiny_folder: Path) -> None:
    runs = add_ways(store, seeds=2, folder=tiny_folder)
    page = open_page("compare", ids(runs), view="Learning curve")
    start = button(page, "compare.learning.start")
    assert start.label == "Train on 10, 25, 50 % of the images: 12 runs"
    start.click()
    page.run()
    assert not page.exception
    queued = store.all_runs(("queued",))
    assert len(queued) == 12
    assert {run.spec.data.train_fraction for run in queued} == {0.1, 0.25, 0.5}
    assert len({run.group_id for run in queued}) == 1
    written = text_of(page)
    assert "4 of 16 runs have ended" in written
    assert "compare.learning.start" not in [one.key for one in page.button]


def test_nothing_is_queued_where_the_images_are_gone(store: Store) -> None:
    runs = add_ways(store, seeds=1)
    page = open_page("compare", ids(runs), view="Learning curve")
    button(page, "compare.learning.start").click()
    page.run()
    assert "There is no folder /photos" in page.warning[0].value
    assert len(store.all_runs()) == 2


def test_curves_are_drawn_from_all_shares_in_the_store(store: Store) -> None:
    runs = add_ways(store, FRACTIONS)
    page = open_page("compare", ids(runs[-6:]), view="Learning curve")
    assert "compare.learning.start" not in [one.key for one in page.button]
    traces = figures(page)["learning"]["data"]
    assert [one["name"] for one in traces] == ["Frozen", "Full"]
    assert all(len(one["x"]) == 4 for one in traces)
    assert figures(page)["learning"]["layout"]["xaxis"]["type"] == "log"
    assert "Full is better than Frozen on " in text_of(page)
    assert len(page.dataframe[0].value) == 8


def test_what_was_steered_by_hand_is_named(store: Store) -> None:
    run = add_run(store)
    act = Act(step=2, kind="freeze", target="block7")
    store.append(run.id, [act_event(1, 2, act)])
    finish(store, run)
    written = text_of(open_page("compare", [run.id], view="Learning curve"))
    assert "Left out, since they were steered by hand" in written


def test_a_learning_figure_has_an_interval_at_each_point(store: Store) -> None:
    found = learning_curves([report(store, run) for run in add_ways(store, (0.5, 1.0))])
    figure = learning_figure(found.curves, ["#112233", "#445566"])
    for trace, curve in zip(figure.data, found.curves, strict=True):
        assert list(trace.y) == [point.accuracy.value for point in curve.points]
        assert all(half > 0 for half in trace.error_y.array)


def test_a_band_keeps_its_peaks_when_it_is_thinned(store: Store) -> None:
    random = np.random.default_rng(0)
    accuracies = random.uniform(0.5, 0.6, (3, 1_500))
    accuracies[:, 700] = 0.99
    reports = [
        report(store, finish(store, add_run(store, seed=seed), row.tolist()))
        for seed, row in enumerate(accuracies)
    ]
    figure = band_figure([WayCurve("a", "#112233", reports)], "accuracy", "epochs")
    line = figure.data[1]
    assert len(line.x) < 700
    assert max(line.y) == pytest.approx(0.99)
    assert min(line.y) == pytest.approx(accuracies.mean(axis=0).min())


# ---- Train


def test_the_train_page_starts_an_experiment_as_one(store: Store) -> None:
    page = choose(open_page("train"), "train.seeds", 3)
    start = start_button(page)
    assert start.label == "Start the experiment: 6 runs"
    assert "**6 runs in all**: each with 3 seeds on the same split" in text_of(page)
    start.click()
    page.run()
    queued = store.all_runs(("queued",))
    assert sorted(run.spec.seed for run in queued) == [0, 0, 1, 1, 2, 2]
    assert len({run.group_id for run in queued}) == 1
    assert len({run.spec.data for run in queued}) == 1


def test_a_share_of_the_images_is_a_control_of_the_train_page(store: Store) -> None:
    page = choose(open_page("train"), "train.data.train_fraction", 0.25)
    assert "25 % of each class, and at least one" in text_of(page)
    start_button(page).click()
    page.run()
    assert {run.spec.data.train_fraction for run in store.all_runs()} == {0.25}
